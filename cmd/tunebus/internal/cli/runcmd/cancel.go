package runcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/publishing"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/runwatch"
)

type cancelFlags struct {
	at     session.Location
	reason string
	// limit is the longest wait for the run's end.
	limit  time.Duration
	noWait bool
}

// Cancel is "tunebus cancel".
func Cancel(s *session.Session) *cobra.Command {
	var f cancelFlags
	c := &cobra.Command{
		Use: "cancel RUN", Short: "End a run as soon as it can, and say what became of it", Args: session.ExactlyOne("RUN"),
		RunE: s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, args []string) error {
			// A run that the stream does not hold may be archived, or is not
			// accepted yet.
			run, err := server.FindRun(ctx, args[0])
			if err != nil || run.Accepted == nil {
				run, err = accepted(ctx, server, args[0], nil)
			}
			if err != nil {
				return err
			}
			if run.Completed != nil {
				return printCancelled(s.Console, run, false, 0)
			}
			begin := time.Now()
			if run, err = cancelRun(ctx, s, server.Bus, run, f); err != nil {
				return err
			}
			return printCancelled(s.Console, run, true, time.Since(begin).Seconds())
		}),
	}
	f.at.AddFlags(c)
	c.Flags().StringVar(&f.reason, "reason", "", "why")
	c.Flags().DurationVar(&f.limit, "timeout", 30*time.Second, "longest wait for the run's end")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "ask for the end, and do not wait for it")
	return c
}

// cancelRun asks for the end of a run and waits for it, and returns the run as
// it is then.
func cancelRun(ctx context.Context, s *session.Session, b *conn.Conn, run events.Run, f cancelFlags) (events.Run, error) {
	_, err := publishing.Within(b, f.limit).Publish(ctx, events.CancelRequested{RunID: run.ID, By: "user", Reason: f.reason}, journal.Fence{})
	if _, requested := errors.AsType[*journal.FencedError](err); err != nil && !requested { // a run is cancelled only once
		return run, fmt.Errorf("run %s may not be cancelled: %w", run.ID, err)
	}
	if f.noWait {
		return run, nil
	}
	wait, stop := context.WithTimeout(ctx, f.limit)
	defer stop()
	run, err = runwatch.On(b).End(wait, run)
	if err != nil && errors.Is(wait.Err(), context.DeadlineExceeded) {
		err = exit.Timeout(fmt.Errorf("run %s has not ended yet; the request stands, and this shows its end:\n  %s", run.ID, s.CommandLine("watch", run.ID)))
	}
	return run, err
}

// printCancelled prints what became of a run. That it is cancelled is success,
// also if another person asked for it; that it ended in another way is not.
func printCancelled(console *view.Console, run events.Run, requested bool, seconds float64) error {
	if err := console.Print(view.Cancellation(run, requested, seconds)); err != nil {
		return err
	}
	if run.Completed != nil && run.Completed.Conclusion != events.Cancelled {
		return exit.Silent(exit.CodeInput)
	}
	return nil
}
