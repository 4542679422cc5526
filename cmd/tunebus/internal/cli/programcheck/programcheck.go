// Package programcheck asks the programs that the settings name for training and for
// answering what they are, and says what is wrong with one that does not tell.
package programcheck

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/lacking"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Program is a command of the settings that can say what it is.
type Program struct {
	setting              string // that names the command
	command, environment []string
	does                 string // what it is there for, such as "trains"
	check                string // what to do where it says nothing of itself
	answers              bool
}

// Trainer is the program that trains; ok is false if the settings name none.
func Trainer(f settings.Finetune) (p Program, ok bool) {
	return Program{"services.finetune.command", f.Command, f.Environment, "trains", `"tunebus engine check" checks the command`, false}, len(f.Command) > 0
}

// Generator is the program that answers; ok is false if the settings name none.
func Generator(i settings.Inference) (p Program, ok bool) {
	return Program{"services.inference.command", i.Command, i.Environment, "answers", "run the command with --describe by hand", true}, len(i.Command) > 0
}

// Fault is what is wrong with a program.
type Fault struct {
	Says, Do string
	// Slow says that nothing came in time, so that the program may be whole.
	Slow bool
	// Gone says that there is no such program.
	Gone bool
}

// Describe returns what the program says of itself within a time; fault is nil if it is a
// program for what it is there for.
func (p Program) Describe(ctx context.Context, within time.Duration) (d child.Description, fault *Fault) {
	if _, err := exec.LookPath(p.command[0]); err != nil {
		return d, &Fault{Says: fmt.Sprintf("%s: %v", p.setting, err), Do: fmt.Sprintf("name the program that %s, or install it", p.does), Gone: true}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it says nothing of itself within %s", within))
	defer cancel()
	d, err := child.Describe(ctx, p.command, child.Environment(os.Environ(), p.environment, nil))
	if err != nil {
		fault = &Fault{Says: fmt.Sprintf("%s: %v", p.setting, err), Do: p.check, Slow: ctx.Err() != nil}
		if lacks := lacking.Package(err.Error()); lacks != "" {
			fault.Do = lacks
		}
		return d, fault
	}
	if p.answers && !d.Answers() {
		return d, &Fault{
			Says: fmt.Sprintf("%s: %s %s trains, and does not answer: its description names no kind \"inference\"", p.setting, d.Name, d.Version),
			Do:   "name a program that does, see docs/trainers.md",
		}
	}
	return d, nil
}
