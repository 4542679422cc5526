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
	// Back is the command that follows the run again, and Look the one that shows a run that
	// has ended; only who waits for the tracking needs that.
	Back, Look string
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
		if r.Begin.IsZero() {
			r.Begin = time.Now()
		}
		ctx, cancel = context.WithDeadlineCause(ctx, r.Begin.Add(r.Limit), errLimit)
		defer cancel()
	}
	run, err := Show(ctx, console, b, r)
	if err != nil && run.Completed != nil {
		return r.notTracked(ctx, run, err)
	}
	if err != nil {
		return r.notEnded(ctx, b, err)
	}
	return End(console, run, runsummary.Of(run), r.Again)
}

// errLimit ends a wait whose limit is over.
var errLimit = errors.New("the longest wait is over")

// notEnded is the error of a wait for a run that has not ended, as far as is known.
func (r Run) notEnded(ctx context.Context, b *conn.Conn, err error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errLimit) && !b.Connected():
		return exit.Timeout(fmt.Errorf("run %s did not end within %s, as far as is known: NATS at %s does not answer now; this follows it again:\n  %s", r.ID, r.Limit, b.Server(), r.Back))
	case errors.Is(cause, errLimit):
		return exit.Timeout(fmt.Errorf("run %s did not end within %s; it goes on, and this follows it again:\n  %s", r.ID, r.Limit, r.Back))
	case cause != nil: // a signal
		return &exit.Error{Code: exit.CodeInterrupted, Err: fmt.Errorf("interrupted; run %s goes on, and this follows it again:\n  %s", r.ID, r.Back)}
	}
	if _, ok := errors.AsType[*runwatch.UnansweredError](err); ok {
		return exit.Timeout(fmt.Errorf("%w\nrun %s goes on, and this follows it again:\n  %s", err, r.ID, r.Back))
	}
	return err
}

// notTracked is the error of a wait for what follows the end of a run.
func (r Run) notTracked(ctx context.Context, run events.Run, err error) error {
	awaited := "not all of its reports and of MLflow is written yet, and the tracker goes on with that"
	if run.Tracked != nil {
		awaited = "not all of its pushes to the Hub are done yet, and the tracker goes on with them"
	}
	state := fmt.Sprintf("run %s has ended (%s); %s; this shows what there is:\n  %s", r.ID, runsummary.Of(run).Status, awaited, r.Look)
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errLimit):
		return exit.Timeout(fmt.Errorf("the wait of %s is over: %s", r.Limit, state))
	case cause != nil: // a signal
		return &exit.Error{Code: exit.CodeInterrupted, Err: fmt.Errorf("interrupted; %s", state)}
	}
	if _, ok := errors.AsType[*runwatch.UnansweredError](err); ok {
		return exit.Timeout(fmt.Errorf("%w\n%s", err, state))
	}
	return err
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
