// Package follow shows a run on the screen until it has ended, and turns its
// end into an exit status.
//
// [Show] shows the facts of the run and its progress as they come; that a run
// failed or was cancelled is no error there. [End] prints the summary of a run
// that has ended, and returns its status. [ToEnd] does both.
package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/freeworker"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/progress"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/waiting"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/runwatch"
)

// Run is a run to follow.
type Run struct {
	ID string
	// Request is the sequence of its request; 0 if it is not known.
	Request uint64
	// IsPending is set if the person was told that the run waits for intake.
	IsPending bool
	// Again is the command that starts the same run once more.
	Again runsummary.Retry
	// Back is the command that follows the run again.
	Back string
	// Tracking is how long to wait for MLflow after the run's end, Limit the
	// longest wait of all; 0: none.
	Tracking, Limit time.Duration
	// Begin is when the limit began to count; zero: now.
	Begin time.Time
}

// Show follows a run until it has ended, and until it is tracked or r.Tracking
// has passed. It returns the run as it is then.
func Show(ctx context.Context, console *view.Console, b *conn.Conn, r Run) (events.Run, error) {
	waits := &waits{
		console: console, queues: topology.NewInspector(b).Queues,
		busy: func(ctx context.Context, run events.Run, queues []topology.Queue) (string, error) {
			return freeworker.Awaited(ctx, b, run, queues)
		},
	}
	phases := progress.OfPhases(console.Screen())
	defer phases.Close()
	listening, stop := context.WithCancel(ctx)
	defer stop()
	if err := wakeup.Listen(listening, b, func(m codec.Message) {
		if p, ok := m.Event.(events.Progress); ok {
			waits.show(p)
			if len(p.Warnings) > 0 {
				if p.Warnings = console.Unsaid(p.Warnings...); len(p.Warnings) == 0 {
					return
				}
			}
			phases.Show(p)
		}
	}, "*.progress."+r.ID+".*"); err != nil {
		return events.Run{}, err
	}
	return runwatch.On(b).Follow(ctx, runwatch.Following{
		Run:      r.ID,
		Request:  r.Request,
		Tracking: r.Tracking,
		OnFact: func(m codec.Message) {
			if m.Unreadable != nil {
				console.Say("%v", history.Unreadable([]codec.Message{m}))
			}
			figures := ""
			if c, ok := m.Event.(events.PhaseCompleted); ok {
				figures = phases.Completed(c.Phase)
			}
			console.Fact(m.Event, figures)
			if s, ok := m.Event.(events.PhaseStarted); ok {
				phases.Started(s.Phase)
			}
		},
		OnLook: waits.look,
		OnTrouble: func(limit time.Duration, err error) {
			console.Say("NATS does not answer; asking again for %s: %v", limit, err)
		},
		OnUnknown: func() {
			if r.IsPending {
				return
			}
			if r.Request != 0 {
				why := cmp.Or(waiting.Full(ctx, b), "no intake has looked at the request of run "+r.ID+" yet")
				console.Say("%s; it is stored and waits", why)
				return
			}
			console.Say("no run %s is known on %s yet; waiting for it", r.ID, b.Server())
		},
	})
}

// ToEnd follows a run to its end, prints its summary and returns its exit
// status.
func ToEnd(ctx context.Context, console *view.Console, b *conn.Conn, r Run) error {
	if r.Limit > 0 {
		var cancel context.CancelFunc
		timeout := exit.Timeout(fmt.Errorf("run %s did not end within %s; it goes on, and this follows it again:\n  %s", r.ID, r.Limit, r.Back))
		if r.Begin.IsZero() {
			r.Begin = time.Now()
		}
		ctx, cancel = context.WithDeadlineCause(ctx, r.Begin.Add(r.Limit), timeout)
		defer cancel()
	}
	run, err := Show(ctx, console, b, r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			if _, limit := errors.AsType[*exit.Error](cause); limit && !b.Connected() {
				cause = exit.Timeout(fmt.Errorf("run %s did not end within %s, as far as is known: NATS at %s does not answer now; this follows it again:\n  %s", r.ID, r.Limit, b.Server(), r.Back))
			} else if !limit { // a signal
				cause = &exit.Error{Code: exit.CodeInterrupted, Err: fmt.Errorf("interrupted; run %s goes on, and this follows it again:\n  %s", r.ID, r.Back)}
			}
			return cause
		}
		if _, ok := errors.AsType[*runwatch.UnansweredError](err); ok {
			return exit.Timeout(fmt.Errorf("%w\nrun %s goes on, and this follows it again:\n  %s", err, r.ID, r.Back))
		}
		return err
	}
	return End(console, run, runsummary.Of(run), r.Again)
}

// End prints the summary of a run that has ended, and returns its exit status.
func End(console *view.Console, run events.Run, s runsummary.Summary, again runsummary.Retry) error {
	s.AddNotes(run)
	if err := console.PrintRunEnd(run, s, again); err != nil {
		return err
	}
	return status(run)
}

// status is the exit status of a run that has ended.
func status(run events.Run) error {
	switch runsummary.OutcomeOf(run) {
	case runsummary.Succeeded:
		return nil
	case runsummary.Failed:
		return exit.Silent(exit.CodeFailure)
	case runsummary.Cancelled:
		return exit.Silent(exit.CodeCancelled)
	case runsummary.Partial:
		return exit.Silent(exit.CodePartial)
	default:
		return errors.New("the run has not ended")
	}
}
