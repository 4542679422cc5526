package showcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/freeworker"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/losshistory"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/rundetail"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// Show is "tunebus show".
func Show(s *session.Session) *cobra.Command {
	var at session.Location
	c := &cobra.Command{
		Use: "show RUN", Short: "Show what is known of a run", Args: session.ExactlyOne("RUN"),
		Example:           "  tunebus show last --json",
		ValidArgsFunction: session.CompleteRuns(s, &at),
		RunE: session.WithReading(s, &at, func(ctx context.Context, server *session.Deployment, args []string) error {
			id, err := server.RunID(ctx, args[0])
			if err != nil {
				return err
			}
			run, err := server.FindRun(ctx, id)
			if _, rejected := errors.AsType[*runwatch.RejectedError](err); rejected {
				return showRejected(ctx, s, server.Bus, id)
			}
			var facts []history.UnreadableFact
			if unreadable, ok := errors.AsType[*history.UnreadableError](err); ok && run.Accepted != nil {
				facts, err = unreadable.Facts, nil // the rest is shown
			}
			_, waits := errors.AsType[*session.PendingError](err)
			if err != nil && !waits {
				return err
			}
			if run.Accepted == nil {
				return showPending(ctx, s, server, id)
			}
			detail := rundetail.Detail{Run: run, Unreadable: facts, Again: s.Repeat(server, id), Now: time.Now()}
			detail.Logs = s.Program + " " + shellquote.Join(append([]string{"logs", id}, detail.Again.On...)...)
			if stored, err := history.New(server.Bus).Run(ctx, id); err == nil && stored.Accepted == nil {
				detail.Archived = true // its facts have left the stream
			}
			detail.Reports = reportsOf(s, server)
			if folder := server.Folder(); folder != "" {
				detail.Track = s.CommandLine("replay", "tracking", "--run", id, "--data", folder)
			}
			addState(ctx, server, &detail)
			if detail.Loss, err = losshistory.Read(ctx, server.Bus, server.Store, run); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				detail.LossTrouble = err
			}
			sayRejected(ctx, s, server.Bus, id)
			return s.Console.Print(rundetail.Show(detail))
		}),
	}
	at.AddFlags(c)
	return c
}

// reportsOf is the folder of the reports of the data folder that a command works on; empty if it
// is not known.
func reportsOf(s *session.Session, server *session.Deployment) string {
	folder := session.DataFolder(server)
	cfg, err := s.Settings()
	if err != nil || folder == "" {
		return ""
	}
	kept, err := places.Read(folder)
	if err == nil {
		_, err = kept.Use(&cfg)
	}
	if err != nil {
		return ""
	}
	return cfg.Tracker.Reports
}

// addState adds how far an open run is and what it waits for. What cannot be told is
// left out, because the rest of the run is worth to be shown without it.
func addState(ctx context.Context, server *session.Deployment, d *rundetail.Detail) {
	if _, queued := runsummary.Queued(d.Run); queued {
		if queues, err := topology.NewInspector(server.Bus).Queues(ctx); err == nil {
			d.Waits.Worker = freeworker.Missing(d.Run, queues)
			if server.Folder() == "" {
				d.Waits.For, _ = freeworker.Awaited(ctx, server.Bus, d.Run, queues)
			}
		}
	}
	if folder := server.Folder(); folder != "" && d.Run.Completed == nil {
		d.Waits.Worker, d.Waits.For = "", fmt.Sprintf("a process that works on the data folder; \"tunebus up --data %s\" goes on with it", shellquote.Word(folder))
	}
	d.Stopped = server.Folder() != "" && d.Run.Status() == events.StatusRunning
	p, attempt, some := runsummary.Running(d.Run)
	if d.Stopped {
		p, attempt, some = runsummary.Stood(d.Run)
	}
	if !some {
		return
	}
	newest, err := history.New(server.Bus).Progress(ctx, d.Run.ID, p, attempt)
	if err != nil {
		return
	}
	d.Progress = &newest
	if d.Waits.For == "" {
		d.Waits.For = newest.WaitsFor
	}
}
