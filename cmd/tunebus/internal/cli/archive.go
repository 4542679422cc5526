package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
)

func (a *app) archiveCommand() *cobra.Command {
	var at stored
	var old age
	var dry bool
	c := &cobra.Command{
		Use: "archive --older-than AGE", Short: "Take ended runs out of the stream, into the artifact store", Args: cobra.NoArgs,
		Long: `Runs that have ended, are tracked and are older than AGE leave the stream of
facts: each is written into the artifact store, read back and compared, and only
then removed. show, rerun and replay tracking find archived runs, and their ids
stay taken.`,
		Example: "  tunebus archive --older-than 90d --dry-run",
		PreRunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("older-than") {
				return bad(errors.New("--older-than says how old the runs have to be, such as --older-than 90d"))
			}
			return nil
		},
		RunE: a.on(&at, func(ctx context.Context, r *room, _ []string) error {
			said := time.Now()
			n := 0
			report, err := archive.NewArchiver(r.bus, r.store, archive.Options{
				OlderThan: time.Duration(old),
				DryRun:    dry,
				OnArchived: func(archive.ArchivedRun) {
					if n++; time.Since(said) > 2*time.Second {
						said = time.Now()
						a.say("%d runs archived so far", n)
					}
				},
			}).Run(ctx)
			if errors.Is(err, lease.ErrTaken) {
				err = fmt.Errorf("somebody else archives on %s; wait for it", r.bus.Server())
			}
			// What was archived before an error is said all the same.
			return errors.Join(a.result(archived{report, dry}, func(w io.Writer) { showArchived(w, report, dry) }), err)
		}),
	}
	at.flags(c)
	c.Flags().Var(&old, "older-than", "how long ago a run's last fact has to be, such as 90d or 36h")
	c.Flags().BoolVar(&dry, "dry-run", false, "only say what would be done")
	return c
}

// archived is the command's result for scripts.
type archived struct {
	archive.Report
	DryRun bool `json:"dry_run"`
}

func showArchived(w io.Writer, r archive.Report, dry bool) {
	if len(r.Archived) > 0 {
		table(w, r.Archived, "RUN\tENDED\tFACTS\tARCHIVE", func(m archive.ArchivedRun) string {
			return fmt.Sprintf("%s\t%s\t%d\t%s", m.Run, m.Ended.UTC().Format(time.DateTime), m.Facts, m.Archive.Key)
		})
	}
	verb := "archived"
	if dry {
		verb = "would be archived"
	}
	fmt.Fprintf(w, "%d runs %s; %d go on, %d are too young\n", len(r.Archived), verb, r.Open, r.Young)
	for _, l := range r.Skipped {
		fmt.Fprintf(w, "left: %s: %s\n", l.Run, l.Why)
	}
}
