package opscmd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/lacking"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// trainerPatience is how long a look at the command that trains takes at most: its
// libraries may take long to load.
const trainerPatience = 30 * time.Second

// checkTrainer checks the command that trains, if the settings name one.
func checkTrainer(ctx context.Context, f settings.Finetune) []view.Finding {
	if len(f.Command) == 0 {
		return nil
	}
	found := view.Finding{Name: "trainer", State: view.StateOK}
	if _, err := exec.LookPath(f.Command[0]); err != nil {
		found.State, found.Says, found.Do = view.StateBroken, fmt.Sprintf("services.finetune.command: %v", err), "name the program that trains, or install it"
		return []view.Finding{found}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, trainerPatience, fmt.Errorf("it says nothing of itself within %s", trainerPatience))
	defer cancel()
	d, err := child.Describe(ctx, f.Command, child.Environment(os.Environ(), f.Environment, nil))
	if err != nil {
		found.State, found.Says, found.Do = view.StateBroken, err.Error(), `"tunebus engine check" checks the command`
		if lacks := lacking.Package(err.Error()); lacks != "" {
			found.Do = lacks
		}
		return []view.Finding{found}
	}
	found.Says = fmt.Sprintf("%s %s, reads %s, devices: %s", d.Name, d.Version, d.Rows, strings.Join(d.Devices, ", "))
	return []view.Finding{found}
}
