package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
)

// Config says what is checked.
type Config struct {
	// Command is the command without the arguments of the protocol.
	Command []string
	// Environ is the environment of this process; More are further variables that the
	// trainer gets, as names or NAME=value.
	Environ, More []string
	// Model is the folder of a base model. Default: a small one of random weights.
	Model string
	// Keys are those of the job.
	Keys events.FineTuner
	// NotExact leaves out that all results are equal.
	NotExact bool
	// Scratch is an empty folder for the jobs.
	Scratch string
	// Patience is how long a trainer may say nothing. Default 5 min.
	Patience time.Duration
	// Output gets what the trainer writes to stdout and stderr; nil: nobody does.
	Output func(line string)
}

// Finding is what a check found.
type Finding struct {
	// Name is the name of the check, such as "stop".
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Untried says that the check found nothing out: neither a fault nor that there is none.
	Untried bool `json:"untried,omitempty"`
	// Text says what was expected, and what came.
	Text string `json:"text"`
}

// check is one check. It returns what came, or an error that says what was expected.
type check struct {
	name string
	run  func(ctx context.Context, s *suite) (got string, err error)
}

func checks() []check {
	return []check{
		{"describe", describes},
		{"complete", completes},
		{"repeat", repeats},
		{"checkpoints", keepsCheckpoints},
		{"resume", resumes},
		{"stop", stopsByOrder},
		{"sigterm", stopsBySignal},
		{"sigkill", survivesKill},
		{"reconnect", reconnects},
		{"later_version", ignoresTheUnknown},
		{"folder", worksElsewhere},
		{"memory", endsWithoutMemory},
	}
}

// Check runs all checks, and reports whether they found nothing wrong. Without a
// first run that completes, the others mean nothing and are left out.
func Check(ctx context.Context, cfg Config, report func(Finding)) (ok bool) {
	if cfg.Patience == 0 {
		cfg.Patience = 5 * time.Minute
	}
	var err error
	if cfg.Scratch, err = filepath.Abs(cfg.Scratch); err == nil && cfg.Model != "" {
		cfg.Model, err = filepath.Abs(cfg.Model)
	}
	if err != nil {
		report(Finding{Name: "describe", Text: err.Error(), Untried: true})
		return false
	}
	s := &suite{cfg: cfg}
	ok = true
	for _, c := range checks() {
		got, err := c.run(ctx, s)
		if ctx.Err() != nil {
			return false
		}
		f := Finding{Name: c.name, OK: err == nil, Text: got}
		if err != nil {
			f.Text, ok = err.Error(), false
			_, f.Untried = errors.AsType[*untriedError](err)
		}
		report(f)
		if !f.OK && c.name == "complete" {
			return false
		}
	}
	return ok
}

func describes(ctx context.Context, s *suite) (string, error) {
	d, err := child.Describe(ctx, s.cfg.Command, child.Environment(s.cfg.Environ, s.cfg.More, nil))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("it is %s %s, reads %s and honours %d keys", d.Name, d.Version, d.Rows, len(d.Keys)), nil
}

func completes(ctx context.Context, s *suite) (string, error) {
	first, err := s.attempt(ctx, nil, nil)
	if err == nil {
		err = first.completed()
	}
	if err != nil && s.cfg.Model == "" && first.result == nil && ctx.Err() == nil {
		return "", fmt.Errorf("%w\nthe model of the check is a small Llama of random weights; if the command cannot work with that, --model FOLDER gives it another one", err)
	}
	if err != nil {
		return "", err
	}
	s.first = first
	return fmt.Sprintf("%d steps in %s", len(first.steps), first.took.Round(time.Millisecond)), nil
}

func repeats(ctx context.Context, s *suite) (string, error) {
	again, err := s.attempt(ctx, nil, nil)
	if err != nil {
		return "", err
	}
	return "the result of a second run is the same", s.same(again)
}

// keepsCheckpoints holds the answer to the first checkpoint back: then it has to stay.
func keepsCheckpoints(ctx context.Context, s *suite) (string, error) {
	var first child.Checkpoint
	var gone error
	a, err := s.attempt(ctx, nil, func(a *attempt, m child.Message) {
		c, ok := m.(child.Checkpoint)
		if !ok {
			return
		}
		if first.Step == 0 {
			first = c
			a.answerLater(c, heldBack)
		} else if !a.answered && !isFolder(first.Folder) {
			gone = fmt.Errorf("it removed the checkpoint of step %d before checkpoint_kept said so", first.Step)
		}
	})
	switch {
	case err != nil:
		return "", err
	case first.Step == 0:
		return "", fmt.Errorf("it saved no checkpoint in %d steps with save_steps = %d", len(a.steps), s.cfg.Keys.SaveSteps)
	case gone != nil:
		return "", gone
	}
	return fmt.Sprintf("%d checkpoints; each stays until it is kept", len(a.saved)), s.same(a)
}

func resumes(ctx context.Context, s *suite) (string, error) {
	if len(s.first.saved) == 0 {
		return "", fmt.Errorf("the first run saved no checkpoint")
	}
	from := s.first.saved[0]
	a, err := s.attempt(ctx, &from, nil)
	if err != nil {
		return "", err
	}
	if len(a.steps) > 0 && a.steps[0] != from.Step+1 {
		return "", fmt.Errorf("from the checkpoint of step %d it went on with step %d", from.Step, a.steps[0])
	}
	return fmt.Sprintf("from the checkpoint of step %d it comes to the same result", from.Step), s.same(a)
}

func stopsByOrder(ctx context.Context, s *suite) (string, error) {
	return s.stop(ctx, "stop", func(t *child.Trainer) { t.Send(child.StopWithin(stopTime)) })
}

func stopsBySignal(ctx context.Context, s *suite) (string, error) {
	return s.stop(ctx, "SIGTERM", (*child.Trainer).Terminate)
}

// survivesKill kills the trainer at two steps; it goes on from what was kept.
func survivesKill(ctx context.Context, s *suite) (string, error) {
	var from *child.Resume
	for i := range int64(2) {
		at := s.first.last() * (i + 1) / 3
		a, err := s.attempt(ctx, from, func(a *attempt, m child.Message) {
			if p, ok := m.(child.Progress); ok && p.Step >= at {
				a.trainer.Kill()
			}
		})
		if err != nil {
			return "", err
		}
		if a.result != nil {
			return "", tooFast(at)
		}
		if n := len(a.saved); n > 0 {
			from = &a.saved[n-1]
		}
	}
	a, err := s.attempt(ctx, from, nil)
	if err != nil {
		return "", err
	}
	return "killed twice and resumed, it comes to the same result", s.same(a)
}

func reconnects(ctx context.Context, s *suite) (string, error) {
	at, broken := s.first.last()/2, false
	a, err := s.attempt(ctx, nil, func(a *attempt, m child.Message) {
		if p, ok := m.(child.Progress); ok && p.Step >= at && !broken {
			broken = true
			a.trainer.Disconnect()
		}
	})
	if err != nil {
		return "", err
	}
	if a.hellos < 2 {
		return "", fmt.Errorf("its connection was closed behind step %d, and it did not connect again: %w", at, a.orNoResult())
	}
	return "it takes a broken connection up again", s.same(a)
}

// later is an order of a version that there is not yet.
type later struct {
	Why string `json:"why"`
}

func (later) Type() string { return "from_a_later_version" }

func ignoresTheUnknown(ctx context.Context, s *suite) (string, error) {
	a, err := s.attempt(ctx, nil, func(a *attempt, m child.Message) {
		if _, ok := m.(child.Hello); ok {
			a.trainer.Send(later{"to see whether it is left alone"})
		}
	})
	if err != nil {
		return "", err
	}
	return "it leaves messages alone that it does not know", s.same(a)
}

// worksElsewhere starts the trainer in an empty folder: nothing of the protocol is
// relative to where it starts, or to where it goes.
func worksElsewhere(ctx context.Context, s *suite) (string, error) {
	folder := filepath.Join(s.cfg.Scratch, "elsewhere")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	whole := s.cfg.Command
	defer func() { s.cfg.Command = whole }()
	absolute, err := absoluteCommand(whole)
	if err != nil {
		return "", err
	}
	s.cfg.Command = slices.Concat([]string{"/bin/sh", "-c", `cd "$0" && exec "$@"`, folder}, absolute)
	a, err := s.attempt(ctx, nil, nil)
	if err == nil {
		err = s.same(a)
	}
	if err != nil {
		return "", fmt.Errorf("started in another folder: %w", err)
	}
	left, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		var names []string
		for _, e := range left {
			names = append(names, e.Name())
		}
		return "", fmt.Errorf("it left %s in the folder in which it was started, which other jobs have too; want all files in the folders of the job or in TMPDIR", strings.Join(names, ", "))
	}
	return "started in another folder, it comes to the same result", nil
}

// absoluteCommand is a command whose words that name files here name them from any folder.
func absoluteCommand(command []string) ([]string, error) {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	out := slices.Clone(command)
	out[0] = program
	for i, word := range out {
		if filepath.IsAbs(word) || word == "" {
			continue
		}
		if _, err := os.Stat(word); err != nil {
			continue // no file
		}
		if out[i], err = filepath.Abs(word); err != nil {
			return nil, err
		}
	}
	return out, nil
}
