package opscmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/gc"
)

type gcFlags struct {
	at    session.Location
	grace timeflag.Age
	// store is the id of the store, from a person who knows that it is the
	// right one.
	store  string
	dryRun bool
}

// GC is "tunebus gc".
func GC(s *session.Session) *cobra.Command {
	f := gcFlags{grace: timeflag.Age(24 * time.Hour)}
	c := &cobra.Command{
		Use: "gc", Short: "Remove the artifacts that no run refers to", Args: session.NoArgs,
		Long: `Objects of the artifact store that no run refers to, in the stream or archived,
are removed, and what writers that died left behind. Everything of a run that
goes on stays, and so does what a rerun starts from, what a request names that
is still to be decided, and whatever is younger than the grace.

A store belongs to one server: what the runs of another one refer to cannot be
seen here.`,
		Example: "  tunebus gc --dry-run",
		RunE: s.WithStore(&f.at, func(ctx context.Context, server *session.Deployment, store *artifact.Store) error {
			return collect(ctx, s.Console, server.Bus, store, f)
		}),
	}
	f.at.AddFlags(c)
	flags := c.Flags()
	flags.Var(&f.grace, "grace", "how old an object has to be, such as 24h or 7d")
	flags.StringVar(&f.store, "store", "", "id of the store, to collect in one that no run refers to")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be removed")
	return c
}

// collect removes what no run refers to, and prints each object as soon as it
// is removed and the sum in the end.
func collect(ctx context.Context, console *view.Console, b *conn.Conn, store *artifact.Store, f gcFlags) error {
	if f.store != "" && f.store != store.ID() {
		return exit.Input(fmt.Errorf("--store %s: this is store %s", f.store, store.ID()))
	}
	removed := []gc.Removed{}
	sum, err := gc.New(b, store, gc.Options{
		Grace:          time.Duration(f.grace),
		StoreConfirmed: f.store != "",
		DryRun:         f.dryRun,
		OnRemoved: func(one gc.Removed) {
			removed = append(removed, one)
			_ = console.PrintRow(view.RemovedObject(one)) // if stdout is closed, printing the sum fails, too
		},
	}).Run(ctx)
	if errors.Is(err, gc.ErrNoReference) {
		err = fmt.Errorf("nothing was removed from store %s: %w; if it is the right one, say so with --store %s", store.ID(), err, store.ID())
	}
	return errors.Join(console.Print(view.Collected(removed, sum, f.dryRun)), err)
}
