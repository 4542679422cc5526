package runcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/patience"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/publishing"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
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
		Example:           "  tunebus cancel last --reason \"wrong data\"",
		ValidArgsFunction: session.CompleteRuns(s, &f.at),
		RunE: func(c *cobra.Command, args []string) error {
			// The services of a data folder need the folder for themselves.
			var folder, run string
			err := s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, args []string) error {
				var id string
				var found events.Run
				err := patience.AskAgain(ctx, s.Console, server.Bus, func() (err error) {
					if id, err = server.RunID(ctx, args[0]); err == nil {
						found, err = findForCancel(ctx, server, id)
					}
					return err
				})
				if pending, ok := errors.AsType[*session.PendingError](err); ok {
					s.Console.Say("%v; it is cancelled as soon as an intake looks at it", pending)
					found, err = events.Run{ID: id}, nil
				}
				switch {
				case err != nil:
					return err
				case found.Completed != nil:
					return printCancelled(s.Console, found, false, 0)
				case server.Folder() != "":
					folder, run = server.Folder(), id
					return nil
				}
				return cancelAndPrint(ctx, s, server.Bus, found, f)
			})(c, args)
			if err != nil || folder == "" {
				return err
			}
			return cancelOnFolder(c.Context(), s, folder, run, f)
		},
	}
	f.at.AddFlags(c)
	c.Flags().StringVar(&f.reason, "reason", "", "why")
	timeflag.WaitVar(c.Flags(), &f.limit, "timeout", 30*time.Second, "longest wait for the run's end")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "ask for the end, and do not wait for it")
	return c
}

// findForCancel reads a run. One that the stream does not hold may be archived, or
// is not accepted yet.
func findForCancel(ctx context.Context, server *session.Deployment, id string) (events.Run, error) {
	run, err := server.FindRun(ctx, id)
	if err == nil && run.Accepted != nil || server.Folder() != "" {
		if err == nil && run.Accepted == nil {
			err = server.UnknownOrPending(ctx, id)
		}
		return run, err
	}
	return accepted(ctx, server, id, nil)
}

// cancelOnFolder cancels a run of a data folder on which no service works. It
// starts the services without workers: they end the run, and work on no job.
func cancelOnFolder(ctx context.Context, s *session.Session, folder, id string, f cancelFlags) (err error) {
	cfg, err := s.Settings()
	if err != nil {
		return err
	}
	cfg.Data.Folder = folder
	if f.at.Artifacts != "" {
		cfg.Artifacts.URL = f.at.Artifacts
	}
	if err := (&inprocess.Flags{}).Apply(&cfg); err != nil {
		return err
	}
	local, err := inprocess.Start(ctx, s, cfg, inprocess.Server{WithoutWorkers: true})
	if err != nil {
		return err
	}
	defer func() { err = exit.Join(err, local.Stop()) }()
	run, err := history.New(local.Bus).Run(ctx, id)
	if err != nil {
		return err
	}
	run.ID = id // of one that is not accepted yet, too
	begin := time.Now()
	if run, err = cancelRun(ctx, s, local.Bus, run, f); err != nil {
		return err
	}
	took := time.Since(begin).Seconds()
	if run.Completed != nil {
		// No process tracks the end of the run later, so this one does it.
		wait, stop := context.WithTimeout(ctx, f.limit)
		defer stop()
		tracked, err := runwatch.On(local.Bus).Follow(wait, runwatch.Following{Run: id, Tracking: f.limit, OnFact: func(codec.Message) {}, OnUnknown: func() {}})
		if err == nil {
			run = tracked
		}
		if run.Tracked == nil {
			s.Console.Say("tracking is pending: %s could not be reached, and may show the run as running, or its reports could not be written; this makes up for it:\n  %s",
				cfg.Tracker.TrackingURI, s.CommandLine("replay", "tracking", "--run", id, "--data", folder))
		}
	}
	return printCancelled(s.Console, run, true, took)
}

// cancelAndPrint cancels a run that has not ended, and prints what became of it.
func cancelAndPrint(ctx context.Context, s *session.Session, b *conn.Conn, run events.Run, f cancelFlags) error {
	begin := time.Now()
	run, err := cancelRun(ctx, s, b, run, f)
	if err != nil {
		return err
	}
	return printCancelled(s.Console, run, true, time.Since(begin).Seconds())
}

// cancelRun asks for the end of a run and waits for it, and returns the run as
// it is then.
func cancelRun(ctx context.Context, s *session.Session, b *conn.Conn, run events.Run, f cancelFlags) (events.Run, error) {
	_, err := publishing.Within(b, f.limit).Publish(ctx, events.CancelRequested{RunID: run.ID, By: "user", Reason: f.reason}, journal.Fence{})
	if _, requested := errors.AsType[*journal.FencedError](err); err != nil && !requested { // a run is cancelled only once
		return run, fmt.Errorf("it is not sure that run %s will be cancelled: %w", run.ID, err)
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
