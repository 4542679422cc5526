package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
)

// cancellation is what became of a run that was to be cancelled, for scripts.
type cancellation struct {
	runSummary
	// Requested is false where the run had ended before.
	Requested bool `json:"cancel_requested"`
	// Took is how long the end came after the request, in seconds.
	Took float64 `json:"cancel_seconds,omitempty"`
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	var at stored
	var limit time.Duration
	var leave bool
	c := &cobra.Command{
		Use: "cancel RUN", Short: "End a run as soon as it can, and say what became of it", Args: exactlyOne("RUN"),
		RunE: a.looking(&at, func(ctx context.Context, r *room, args []string) error {
			// One that the stream does not hold may have been archived, or
			// have to be accepted yet.
			run, err := r.find(ctx, at, args[0])
			if err != nil || run.Accepted == nil {
				run, err = soonKnown(ctx, r.bus, args[0])
			}
			if err != nil {
				return err
			}
			if run.Completed != nil {
				return a.cancelled(run, cancellation{})
			}
			asked := time.Now()
			_, err = journal.New(r.bus).Publish(ctx, events.CancelRequested{RunID: run.ID, By: "user", Reason: reason}, journal.Fence{})
			var lost *journal.FencedError // somebody asked for it before
			if err != nil && !errors.As(err, &lost) {
				return err
			}
			if !leave {
				wait, stop := context.WithTimeout(ctx, limit)
				defer stop()
				if run, err = endOf(wait, r.bus, run); err != nil {
					return err
				}
			}
			return a.cancelled(run, cancellation{Requested: true, Took: time.Since(asked).Seconds()})
		}),
	}
	at.flags(c)
	c.Flags().StringVar(&reason, "reason", "", "why")
	c.Flags().DurationVar(&limit, "timeout", 30*time.Second, "longest wait for the run's end")
	c.Flags().BoolVar(&leave, "no-wait", false, "ask for the end, and do not wait for it")
	return c
}

// cancelled says what became of a run. That it is cancelled is success, by
// whomever; that it had ended otherwise is not.
func (a *app) cancelled(run events.Run, c cancellation) error {
	c.runSummary = summaryOf(run)
	end := run.Completed
	var line string
	switch {
	case end == nil:
		c.Took = 0
		line = fmt.Sprintf("cancel of %s requested; \"tunebus watch %s\" shows its end", run.ID, run.ID)
	case !c.Requested:
		line = fmt.Sprintf("run %s has ended already: %s", run.ID, c.Status)
	case end.Conclusion == events.Cancelled:
		line = fmt.Sprintf("run %s was cancelled within %.1f s", run.ID, c.Took)
	default:
		line = fmt.Sprintf("run %s ended before it could be cancelled: %s", run.ID, c.Status)
	}
	err := a.result(c, func(w io.Writer) {
		fmt.Fprintln(w, line)
		if c.Requested && end != nil {
			fmt.Fprintln(w)
			phases(w, run, c.told)
		}
	})
	if err == nil && end != nil && end.Conclusion != events.Cancelled {
		err = &statusError{exitInput, errors.New("")}
	}
	return err
}

// endOf waits for the end of a run, and returns it as it is then.
func endOf(ctx context.Context, b *conn.Conn, run events.Run) (events.Run, error) {
	bell, err := wakeup.Watch(ctx, b, events.PipelineCompleted{RunID: run.ID}.Subject())
	if err != nil {
		return run, err
	}
	look := time.NewTicker(time.Second) // a doorbell may stay silent
	defer look.Stop()
	for {
		now, err := history.New(b).Run(ctx, run.ID)
		if ctx.Err() == nil && err != nil && !codec.IsUndecodable(err) {
			return run, err
		}
		if now.Completed != nil {
			return now, nil
		}
		select {
		case <-bell:
		case <-look.C:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return run, &statusError{exitTimeout, fmt.Errorf("run %s has not ended yet; the request stands, and \"tunebus watch %s\" shows its end", run.ID, run.ID)}
			}
			return run, context.Cause(ctx)
		}
	}
}

// soonKnown reads a run that may have been submitted a moment ago.
func soonKnown(ctx context.Context, b *conn.Conn, id string) (events.Run, error) {
	wait, stop := context.WithTimeout(ctx, 3*time.Second)
	defer stop()
	if !events.ValidToken(id) {
		return events.Run{}, unknownRun(b, id)
	}
	bell, err := wakeup.Watch(wait, b, events.PipelineAccepted{RunID: id}.Subject())
	if err != nil {
		return events.Run{}, err
	}
	for {
		run, err := history.New(b).Run(ctx, id)
		if run.Accepted != nil {
			return run, nil
		}
		if err != nil {
			return run, err
		}
		select {
		case <-bell:
		case <-wait.Done():
			if ctx.Err() != nil {
				return run, context.Cause(ctx)
			}
			if err := rejected(ctx, b, id, 0); err != nil {
				return run, err
			}
			return run, unknownRun(b, id)
		}
	}
}
