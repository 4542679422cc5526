package opscmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/programcheck"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/inference"
	"github.com/tunebus/tunebus/services/inference/modelserver"
)

// serverPatience is how long a look at the server that answers takes at most.
const serverPatience = 15 * time.Second

// checkAnswers checks the server, or the command, that answers, if the settings name one.
func checkAnswers(ctx context.Context, s settings.Settings) []view.Finding {
	switch i := s.Inference; {
	case i.Endpoint != "":
		return []view.Finding{checkModelServer(ctx, s)}
	case len(i.Command) > 0:
		return []view.Finding{checkGenerator(ctx, i)}
	}
	return nil
}

func checkModelServer(ctx context.Context, s settings.Settings) view.Finding {
	found := view.Finding{Name: "model server", State: view.StateOK}
	ctx, cancel := context.WithTimeoutCause(ctx, serverPatience, fmt.Errorf("it does not answer within %s", serverPatience))
	defer cancel()
	says, err := modelserver.Describe(ctx, inference.ServerConfig(s, os.Getenv))
	if err == nil && s.Inference.LoRAFolder != "" {
		if _, statErr := os.Stat(s.Inference.LoRAFolder); statErr != nil {
			err = fmt.Errorf("services.inference.lora_folder: %w", statErr)
		}
	}
	if err != nil {
		found.State, found.Says, found.Do = view.StateBroken, err.Error(), "start the server, or correct the section services.inference of the settings"
		return found
	}
	found.Says = says
	return found
}

func checkGenerator(ctx context.Context, i settings.Inference) view.Finding {
	found := view.Finding{Name: "generator", State: view.StateOK}
	generator, _ := programcheck.Generator(i)
	d, fault := generator.Describe(ctx, programPatience)
	if fault != nil {
		found.State, found.Says, found.Do = view.StateBroken, fault.Says, fault.Do
		return found
	}
	found.Says = fmt.Sprintf("%s %s, devices: %s", d.Name, d.Version, strings.Join(d.Devices, ", "))
	return found
}
