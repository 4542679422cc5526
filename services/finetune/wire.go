package finetune

import (
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/trainer"
)

// engineOf is the engine of a command that takes jobs of a queue: the one that the
// queue is called after, or that of all other commands.
func engineOf(queue string) string {
	if slices.Contains(spec.Engines(events.Finetune), queue) {
		return queue
	}
	return spec.Command
}

// Wire adds the service to a process.
func Wire(s *service.Service) error {
	if err := llm.UseKernels(s.Settings.Services.Kernels); err != nil {
		return fmt.Errorf("services.kernels: %w", err)
	}
	if llm.SlowKernels() {
		s.Notify(llm.SlowKernelsNotice)
	}
	cfg := s.Settings.Finetune
	if len(cfg.Command) == 0 {
		return s.AddPhase(events.Finetune, engine.Builtin, Engine{})
	}
	if _, err := exec.LookPath(cfg.Command[0]); err != nil {
		return fmt.Errorf("services.finetune.command: %w; name the program that trains", err)
	}
	name := engineOf(cfg.Queue)
	return s.AddPhase(events.Finetune, name, trainer.New(trainer.Config{
		Name: name, Command: cfg.Command, Environ: os.Environ(), Environment: cfg.Environment, Devices: cfg.Devices,
		WandbKey: s.Settings.Credentials.WandbKey,
	}))
}
