package opscmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// checkTrainer checks the command that trains, if the settings name one.
func checkTrainer(ctx context.Context, f settings.Finetune) []view.Finding {
	if len(f.Command) == 0 {
		return nil
	}
	found := view.Finding{Name: "trainer", State: view.StateOK}
	trainer := program{"services.finetune.command", f.Command, f.Environment, "trains", `"tunebus engine check" checks the command`}
	if d, ok := trainer.describe(ctx, &found); ok {
		found.Says = fmt.Sprintf("%s %s, reads %s, devices: %s", d.Name, d.Version, d.Rows, strings.Join(d.Devices, ", "))
	}
	return []view.Finding{found}
}
