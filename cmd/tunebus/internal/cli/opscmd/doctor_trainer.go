package opscmd

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/programcheck"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// programPatience is how long a look at a command takes at most: its libraries may take
// long to load.
const programPatience = 30 * time.Second

// checkTrainer checks the command that trains, if the settings name one.
func checkTrainer(ctx context.Context, f settings.Finetune) []view.Finding {
	trainer, ok := programcheck.Trainer(f)
	if !ok {
		return nil
	}
	found := view.Finding{Name: "trainer", State: view.StateOK}
	d, fault := trainer.Describe(ctx, programPatience)
	if fault != nil {
		found.State, found.Says, found.Do = view.StateBroken, fault.Says, fault.Do
		return []view.Finding{found}
	}
	found.Says = fmt.Sprintf("%s %s, reads %s, devices: %s", d.Name, d.Version, d.Rows, strings.Join(d.Devices, ", "))
	return []view.Finding{found}
}
