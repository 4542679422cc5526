package opscmd

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/lacking"
)

// programPatience is how long a look at a command takes at most: its libraries may take
// long to load.
const programPatience = 30 * time.Second

// program is a command of the settings that can say what it is.
type program struct {
	setting              string // that names the command
	command, environment []string
	does                 string // what it is there for, such as "trains"
	check                string // what to do where it says nothing of itself
}

// describe returns what the command says of itself. If it does not, the finding is
// broken, and ok is false.
func (p program) describe(ctx context.Context, found *view.Finding) (d child.Description, ok bool) {
	if _, err := exec.LookPath(p.command[0]); err != nil {
		found.State, found.Says = view.StateBroken, fmt.Sprintf("%s: %v", p.setting, err)
		found.Do = fmt.Sprintf("name the program that %s, or install it", p.does)
		return d, false
	}
	ctx, cancel := context.WithTimeoutCause(ctx, programPatience, fmt.Errorf("it says nothing of itself within %s", programPatience))
	defer cancel()
	d, err := child.Describe(ctx, p.command, child.Environment(os.Environ(), p.environment, nil))
	if err != nil {
		found.State, found.Says, found.Do = view.StateBroken, err.Error(), p.check
		if lacks := lacking.Package(err.Error()); lacks != "" {
			found.Do = lacks
		}
		return d, false
	}
	return d, true
}
