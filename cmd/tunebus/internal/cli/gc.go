package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/gc"
)

func (a *app) gcCommand() *cobra.Command {
	var at stored
	grace := age(24 * time.Hour)
	var sure string
	var dry bool
	c := &cobra.Command{
		Use: "gc", Short: "Remove the artifacts that no run refers to", Args: cobra.NoArgs,
		Long: `Objects of the artifact store that no run refers to, in the stream or archived,
are removed, and what writers that died left behind. Everything of a run that
goes on stays, and so does what a rerun starts from, what a request names that
is still to be decided, and whatever is younger than the grace.

A store belongs to one server: what the runs of another one refer to cannot be
seen here.`,
		Example: "  tunebus gc --dry-run",
		RunE: a.on(&at, func(ctx context.Context, r *room, _ []string) error {
			if sure != "" && sure != r.store.ID() {
				return bad(fmt.Errorf("--store %s: this is store %s", sure, r.store.ID()))
			}
			out := collected{Removed: []gc.Removed{}, DryRun: dry}
			var err error
			out.Sum, err = gc.New(r.bus, r.store, gc.Options{
				Grace:          time.Duration(grace),
				StoreConfirmed: sure != "",
				DryRun:         dry,
				OnRemoved: func(one gc.Removed) {
					if a.json {
						out.Removed = append(out.Removed, one)
					} else {
						fmt.Fprintf(a.out, "%s\t%d\n", one.Key, one.Bytes)
					}
				},
			}).Run(ctx)
			if errors.Is(err, gc.ErrNoReference) {
				err = fmt.Errorf("nothing was removed from store %s: %w; if it is the right one, say so with --store %s", r.store.ID(), err, r.store.ID())
			}
			return errors.Join(a.result(out, out.show), err)
		}),
	}
	at.flags(c)
	f := c.Flags()
	f.Var(&grace, "grace", "how old an object has to be, such as 24h or 7d")
	f.StringVar(&sure, "store", "", "id of the store, to collect in one that no run refers to")
	f.BoolVar(&dry, "dry-run", false, "only say what would be removed")
	return c
}

// collected is the command's result.
type collected struct {
	Removed []gc.Removed `json:"objects"`
	Sum     gc.Report    `json:"summary"`
	DryRun  bool         `json:"dry_run"`
}

func (c collected) show(w io.Writer) {
	verb := "removed"
	if c.DryRun {
		verb = "would be removed"
	}
	s := c.Sum
	fmt.Fprintf(w, "%d objects (%d bytes), %d leftovers (%d bytes) and %d checkpoints %s; %d runs were read, %d go on\n",
		s.Removed.Count, s.Removed.Bytes, s.Leftovers.Count, s.Leftovers.Bytes, s.Checkpoints, verb, s.Runs, s.Open)
	for _, run := range s.Unreadable {
		fmt.Fprintf(w, "everything of run %s stays: it has a fact that cannot be read; \"tunebus show %s\" names it\n", run, run)
	}
}
