package showcmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// Show is "tunebus show".
func Show(s *session.Session) *cobra.Command {
	var at session.Location
	c := &cobra.Command{
		Use: "show RUN", Short: "Show what is known of a run", Args: session.ExactlyOne("RUN"),
		Example:           "  tunebus show last --json",
		ValidArgsFunction: session.CompleteRuns(s, &at),
		RunE: s.WithReading(&at, func(ctx context.Context, server *session.Deployment, args []string) error {
			id, err := server.RunID(ctx, args[0])
			if err != nil {
				return err
			}
			run, err := server.FindRun(ctx, id)
			var facts []history.UnreadableFact
			if unreadable, ok := errors.AsType[*history.UnreadableError](err); ok && run.Accepted != nil {
				facts, err = unreadable.Facts, nil // the rest is shown
			}
			_, waits := errors.AsType[*session.UndecidedError](err)
			if err != nil && !waits {
				return err
			}
			if run.Accepted == nil {
				return showUndecided(ctx, s, server, id)
			}
			return s.Console.Print(view.Run(run, facts, waitsOf(ctx, server.Bus, run), s.Repeat(server, id)))
		}),
	}
	at.AddFlags(c)
	return c
}

// waitsOf finds what a run waits for. A wait that cannot be told is left out, because
// the rest of the run is worth to be shown without it.
func waitsOf(ctx context.Context, b *conn.Conn, run events.Run) view.Waits {
	var out view.Waits
	if _, queued := runsummary.Queued(run); queued {
		if queues, err := topology.NewInspector(b).Queues(ctx); err == nil {
			out.Worker = runsummary.WaitsFor(run, queues)
		}
	}
	if p, attempt, running := runsummary.Running(run); running {
		if newest, err := history.New(b).Progress(ctx, run.ID, p, attempt); err == nil {
			out.For = newest.WaitsFor
		}
	}
	return out
}
