package opscmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputcheck"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/untracked"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

type archiveFlags struct {
	at        session.Location
	olderThan timeflag.Age
	dryRun    bool
}

// Archive is "tunebus archive".
func Archive(s *session.Session) *cobra.Command {
	var f archiveFlags
	c := &cobra.Command{
		Use: "archive --older-than AGE", Short: "Take ended runs out of the stream, into the artifact store", Args: session.NoArgs,
		Long: `Runs that have ended, are tracked and are older than AGE leave the stream of
facts: each is written into the artifact store, read back and compared, and only
then removed. What their attempts logged is not kept. show, rerun and replay
tracking find archived runs, and their ids stay taken. Models and data that
stayed where they were are not archived: those that are no longer as they were
are named.`,
		Example: "  tunebus archive --older-than 90d --dry-run",
		PreRunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("older-than") {
				return exit.Input(errors.New("--older-than says how old the runs have to be, such as --older-than 90d"))
			}
			return nil
		},
		RunE: s.WithStore(&f.at, func(ctx context.Context, server *session.Deployment, store *artifact.Store) error {
			inputs, err := inputcheck.On(cmp.Or(f.at.Data, server.Folder()), server.Bus.Server())
			if err != nil {
				return err
			}
			if server.Folder() != "" && !f.dryRun { // no tracker works there, and runs that are not tracked stay
				if err := untracked.Write(ctx, s, server, store); err != nil {
					if ctx.Err() != nil {
						return err
					}
					s.Console.Say("runs that have ended and are not tracked stay where they are: %v", err)
				}
			}
			report, err := archiveRuns(ctx, s.Console, server, store, inputs, f)
			if errors.Is(err, lease.ErrTaken) { // nothing was looked at
				return fmt.Errorf("somebody else archives or deletes runs on %s; wait for it", server.Name())
			}
			// The runs that were archived before an error are printed, too.
			return errors.Join(s.Console.Print(view.Archived(report, f.dryRun)), err)
		}),
	}
	f.at.AddFlags(c)
	c.Flags().Var(&f.olderThan, "older-than", "how long ago a run's last fact has to be, such as 90d or 36h")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	return c
}

// archiveRuns archives the runs that may go, and shows now and then how many
// are done.
func archiveRuns(ctx context.Context, console *view.Console, server *session.Deployment, store *artifact.Store, inputs inputcheck.Inputs, f archiveFlags) (archive.Report, error) {
	said, n := time.Now(), 0
	archiver := archive.NewArchiver(server.Bus, store, archive.Options{
		OlderThan: time.Duration(f.olderThan),
		DryRun:    f.dryRun,
		Before: func(ctx context.Context, run events.Run) {
			for _, changed := range inputs.Changed(ctx, run, inputcheck.All) {
				console.Say("%s", changed)
			}
		},
		OnArchived: func(archive.ArchivedRun) {
			if n++; time.Since(said) > 2*time.Second {
				said = time.Now()
				console.Say("%s archived so far", view.Count(n, "run"))
			}
		},
	})
	for began, waits := time.Now(), false; ; {
		report, err := archiver.Run(ctx)
		if !errors.Is(err, lease.ErrTaken) || time.Since(began) > leasePatience {
			return report, err
		}
		if !waits {
			waits = true
			console.Say("%s", deletionWaits)
		}
		select {
		case <-ctx.Done():
			return report, context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// leasePatience is how long archiving waits for others who archive or delete: a little
// longer than the lease of a process that was killed lasts.
const leasePatience = topology.LeaseTTL + 2*time.Second
