package showcmd

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

type runsFlags struct {
	at       session.Location
	archived bool
}

// Runs is "tunebus runs".
func Runs(s *session.Session) *cobra.Command {
	var f runsFlags
	c := &cobra.Command{
		Use: "runs", Short: "List the runs", Args: session.NoArgs,
		Example: "  tunebus runs --archived",
		RunE: s.WithReading(&f.at, func(ctx context.Context, server *session.Deployment, _ []string) error {
			list, err := listRuns(ctx, s.Console, server, f.archived)
			if err != nil {
				return err
			}
			if n, err := deadletter.New(server.Bus).Count(ctx); err == nil && n > 0 {
				s.Console.Say("%s: \"tunebus dlq list\" says why", view.Count(n, "dead letter"))
			}
			sayUndecided(ctx, s, server)
			return s.Console.Print(view.Runs(list, server.Name()))
		}),
	}
	f.at.AddFlags(c)
	c.Flags().BoolVar(&f.archived, "archived", false, "list the archived runs too")
	return c
}

// listRuns lists the runs of the stream, and of the archive if archived is
// true. What cannot be read of a run is said on the screen and hides none of
// the others.
func listRuns(ctx context.Context, console *view.Console, server *session.Deployment, archived bool) ([]view.ListedRun, error) {
	find := history.New(server.Bus).Run
	ids, err := runlister.New(server.Bus).Accepted(ctx)
	if err == nil && archived {
		var old []string
		if find, old, err = archivedRuns(ctx, server); err == nil {
			ids = append(ids, old...)
		}
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	queues, err := topology.NewInspector(server.Bus).Queues(ctx)
	if err != nil {
		return nil, err
	}
	list := []view.ListedRun{}
	for _, id := range slices.Compact(ids) {
		run, err := find(ctx, id)
		if codec.IsUndecodable(err) {
			console.Say("run %s: %v", id, err)
		} else if err != nil {
			return nil, err
		}
		if err != nil && run.Accepted == nil {
			list = append(list, view.ListedRun{Summary: runsummary.Summary{RunID: id, Status: view.StatusUnreadable}})
			continue
		}
		list = append(list, view.ListedRun{Summary: runsummary.Of(run), WaitsFor: runsummary.WaitsFor(run, queues)})
	}
	return list, nil
}

// archivedRuns lists the archived runs. find reads them, and those of the
// stream.
func archivedRuns(ctx context.Context, server *session.Deployment) (find func(context.Context, string) (events.Run, error), ids []string, err error) {
	reader, err := server.Archive(ctx)
	if err != nil {
		return nil, nil, err
	}
	store, err := server.Store(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids, err = archive.NewFiles(store).Runs(ctx)
	return reader.Run, ids, err
}
