package inference

import (
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
)

// Wire adds the service to a process.
func Wire(s *service.Service) error {
	if err := llm.UseKernels(s.Settings.Services.Kernels); err != nil {
		return fmt.Errorf("services.kernels: %w", err)
	}
	if llm.SlowKernels() {
		s.Notify(llm.SlowKernelsNotice)
	}
	return s.AddPhase(events.Inference, engine.Builtin, Engine{SaveEvery: s.Settings.Inference.SaveEvery})
}
