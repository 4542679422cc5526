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
	"github.com/tunebus/tunebus/pipeline/trainerenv"
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
	cfg := &s.Settings.Finetune
	switch {
	case len(cfg.Command) > 0:
		if _, err := exec.LookPath(cfg.Command[0]); err != nil {
			return fmt.Errorf("services.finetune.command: %w; name the program that trains", err)
		}
	case HasEnvironment(cfg.Queue):
		env, err := trainerenv.Find(s.Settings.Data.Folder, cfg.Queue)
		if err != nil {
			return fmt.Errorf("services.finetune.queue = %q: %w, or name a command that trains by services.finetune.command", cfg.Queue, err)
		}
		cfg.Command = env.Command() // the grace of a command holds from now on
	default:
		return s.AddPhase(events.Finetune, engine.Builtin, Engine{})
	}
	name := engineOf(cfg.Queue)
	return s.AddPhase(events.Finetune, name, trainer.New(trainer.Config{
		Name: name, Command: cfg.Command, Environ: os.Environ(), Environment: cfg.Environment, Devices: cfg.Devices,
		WandbKey: s.Settings.Credentials.WandbKey,
	}))
}

// HasEnvironment reports whether an engine of this phase works in a Python environment
// that "tunebus engine install" makes.
func HasEnvironment(engineName string) bool {
	return slices.Contains(spec.Engines(events.Finetune), engineName) && engineName != engine.Builtin && engineName != spec.Command
}

// WireEngine returns a wire of the service that takes the jobs of an engine with a command
// of its own, beside those that the settings name.
func WireEngine(engineName string, command []string) service.Wire {
	return func(s *service.Service) error {
		cfg := &s.Settings.Finetune
		cfg.Queue, cfg.Command, cfg.Devices = engineName, command, nil
		return Wire(s)
	}
}
