package inference

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/userfolder"
	"github.com/tunebus/tunebus/services/inference/generator"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

// Wire adds the service to a process.
func Wire(s *service.Service) error {
	if err := llm.UseKernels(s.Settings.Services.Kernels); err != nil {
		return fmt.Errorf("services.kernels: %w", err)
	}
	if llm.SlowKernels() {
		s.Notify(llm.SlowKernelsNotice)
	}
	if s.Settings.Inference.Endpoint != "" {
		return s.AddPhase(events.Inference, spec.OpenAI, modelserver.New(serverConfig(s.Settings)))
	}
	if i := s.Settings.Inference; len(i.Command) > 0 {
		if _, err := exec.LookPath(i.Command[0]); err != nil {
			return fmt.Errorf("services.inference.command: %w; name the program that answers", err)
		}
		return s.AddPhase(events.Inference, spec.Transformers, generator.New(generator.Config{
			Command: i.Command, Environ: os.Environ(), Environment: i.Environment, Devices: i.Devices, Folder: answersFolder(s.Settings), SaveEvery: i.SaveEvery,
		}))
	}
	return s.AddPhase(events.Inference, engine.Builtin, Engine{SaveEvery: s.Settings.Inference.SaveEvery})
}

// serverConfig is the model server of the settings for this process.
func serverConfig(s settings.Settings) modelserver.Config {
	c := ServerConfig(s, os.Getenv)
	c.Environ = os.Environ()
	return c
}

// ServerConfig is the model server of the settings. getenv reads the variables that
// credentials.keys names.
func ServerConfig(s settings.Settings, getenv func(string) string) modelserver.Config {
	i := s.Inference
	return modelserver.Config{
		Endpoint:  i.Endpoint,
		Key:       s.Key(i.Endpoint, getenv),
		Model:     i.ServedModel,
		Parallel:  i.Parallel,
		Timeout:   i.CallTimeout,
		Share:     modelserver.Share{Folder: i.LoRAFolder, ServerPath: i.LoRAPath, Resolved: i.LoRAResolver},
		Folder:    answersFolder(s),
		SaveEvery: i.SaveEvery,
	}
}

// answersFolder is a folder for answers that outlives the process and is this user's
// alone; empty: there is none.
func answersFolder(s settings.Settings) string {
	if s.Data.Scratch != "" {
		return s.Data.Scratch
	}
	cache, err := userfolder.Cache()
	if err != nil {
		return "" // answers are in checkpoints alone
	}
	return filepath.Join(cache, "tunebus", "answers")
}
