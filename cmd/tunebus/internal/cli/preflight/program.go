package preflight

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/programcheck"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// programPatience is how long a run waits for a program to say what it is. One whose
// packages are missing says so at once; one whose libraries take longer to load is started
// all the same.
const programPatience = 2 * time.Second

// program checks whether the program of the settings that does the work of a step is one. One
// that is not there at all is refused where the services start.
func program(ctx context.Context, cfg settings.Settings, step events.Step, patience time.Duration) *Missing {
	if step.Queue != cfg.Worker(step.Phase).Queue {
		return nil
	}
	var p programcheck.Program
	ok := false
	switch step.Phase {
	case events.Finetune:
		p, ok = programcheck.Trainer(cfg.Finetune)
	case events.Inference:
		p, ok = programcheck.Generator(cfg.Inference)
	}
	if !ok {
		return nil
	}
	_, fault := p.Describe(ctx, patience)
	if fault == nil || fault.Slow || fault.Gone {
		return nil
	}
	return &Missing{What: spec.Section(step.Phase) + ".engine", Why: fault.Says, Do: fault.Do, Needed: true, Input: true}
}

// sharedFolder checks whether the folder is there through which a model server gets the
// adapter of a run.
func sharedFolder(cfg settings.Settings, s events.Specification, step events.Step) *Missing {
	folder := cfg.Inference.LoRAFolder
	if step.Phase != events.Inference || step.Queue != spec.OpenAI || folder == "" || !s.Pipeline.EnableFinetuning {
		return nil
	}
	info, err := os.Stat(folder)
	switch {
	case err != nil:
	case info.IsDir():
		return nil
	default:
		err = fmt.Errorf("%s is no folder", folder)
	}
	return &Missing{
		What:   spec.Section(step.Phase) + ".engine",
		Why:    fmt.Sprintf("services.inference.lora_folder: %v", err),
		Do:     "make or mount the folder that this machine and the model server share, or name another one; services.inference.lora_path is its path on the server",
		Needed: true,
		Input:  true,
	}
}
