package finetune

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
)

// Wire adds the service to a process.
func Wire(s *service.Service) error {
	if !llm.SIMD {
		s.Notify(llm.NoSIMDNotice)
	}
	return s.AddPhase(events.Finetune, engine.Builtin, Engine{})
}
