package repeatcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/mlflowsync"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/timeflag"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/replayed"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

type replayTrackingFlags struct {
	at    session.Location
	runs  []string
	since string
	// to is another MLflow for all runs, uri the one of runs that name none.
	to, uri, reports string
	dryRun           bool

	// requestedSince is the time that since names.
	requestedSince time.Time
}

// ReplayTracking is "tunebus replay tracking".
func ReplayTracking(s *session.Session) *cobra.Command {
	var f replayTrackingFlags
	c := &cobra.Command{
		Use: "tracking", Short: "Rebuild MLflow runs, reports and the list of runs", Args: session.NoArgs,
		Long: `Every run that has ended is written again to MLflow, with its reports and its
line in the list of runs, from the stream, the archive and the artifact store
alone. The times are the original ones, and doing it twice changes nothing. A run
that could not be tracked when it ended is tracked by it from then on.

With --to everything goes to another MLflow, with the credentials of the usual
variables, such as MLFLOW_TRACKING_TOKEN; nothing else changes by that.`,
		Example: `  tunebus replay tracking --run last
  tunebus replay tracking --since 30d --to https://mlflow.example --dry-run`,
		PreRunE: func(c *cobra.Command, _ []string) error { return f.read(c, time.Now()) },
		RunE: s.WithStore(&f.at, func(ctx context.Context, server *session.Deployment, store *artifact.Store) error {
			over := inprocess.Flags{Reports: f.reports, Tracking: f.uri}
			cfg, err := f.trackerConfig(server.Settings, session.DataFolder(server), &over)
			if err != nil {
				return err
			}
			if kept := over.Kept(); kept != "" {
				s.Console.Say("%s", kept)
			}
			cfg.Logger = s.Logger()
			for i, text := range f.runs {
				if f.runs[i], err = server.RunID(ctx, text); err != nil {
					return err
				}
				if _, err := server.FindRepeatable(ctx, f.runs[i]); err != nil {
					return err
				}
			}
			return replayTracking(ctx, s.Console, tracker.New(server.Bus, store, cfg), f, cfg.To)
		}),
	}
	f.at.AddFlags(c)
	flags := c.Flags()
	flags.StringArrayVar(&f.runs, "run", nil, "only this run; may be repeated. Default: every run that has ended, archived ones too")
	flags.StringVar(&f.since, "since", "", "only runs requested since then: a day such as 2026-01-31, a time such as 2026-01-31T12:00:00Z, or how long ago, such as 30d")
	flags.StringVar(&f.to, "to", "", "another MLflow, http(s):// server or file: folder; default: where each run belongs")
	flags.StringVar(&f.uri, "tracking-uri", "", "MLflow of the runs that name none; default: the settings' services.tracker.tracking_uri")
	flags.StringVar(&f.reports, "reports", "", "folder of the reports; default: the settings' services.tracker.reports")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be written")
	return c
}

// read checks the flags by themselves.
func (f *replayTrackingFlags) read(c *cobra.Command, now time.Time) (err error) {
	if len(f.runs) > 0 && c.Flags().Changed("since") {
		return exit.Input(errors.New("--run and --since exclude each other: name runs, or a time"))
	}
	f.requestedSince, err = timeflag.Point("--since", f.since, now)
	return err
}

// trackerConfig returns the tracker's configuration: the settings, with what
// the flags say over them, and between both the places of the data folder.
func (f *replayTrackingFlags) trackerConfig(cfg settings.Settings, data string, over *inprocess.Flags) (tracker.Config, error) {
	cfg.Data.Folder = data
	if err := over.Apply(&cfg); err != nil {
		return tracker.Config{}, err
	}
	t, err := tracker.ConfigFrom(cfg, os.Getenv)
	if err == nil && data != "" {
		t.DataFolder, err = filepath.Abs(data)
	}
	if err == nil && f.to != "" {
		t, err = t.CopyTo(f.to, os.Getenv)
	}
	if err == nil && f.to != "" {
		_, err = mlflowsync.Open(t.To, restapi.Options{}) // checks the address and connects to nothing
	}
	if err != nil {
		return t, exit.Input(err)
	}
	return t, nil
}

// trackingReplayer rebuilds the tracking of runs that have ended.
type trackingReplayer interface {
	Replay(ctx context.Context, r tracker.Replay) error
}

// replayTracking rebuilds the tracking of the runs that the flags name, and
// prints the sum of it, also where it fails halfway.
func replayTracking(ctx context.Context, console *view.Console, t trackingReplayer, f replayTrackingFlags, to string) error {
	begin, said, n := time.Now(), time.Now(), 0
	sum := replayed.Tracking{To: to, DryRun: f.dryRun}
	err := t.Replay(ctx, tracker.Replay{
		Runs:   f.runs,
		Since:  f.requestedSince,
		DryRun: f.dryRun,
		OnRun: func(one tracker.Rebuilt, all int) {
			sum.Add(one)
			if n++; time.Since(said) > 2*time.Second && n < all {
				said = time.Now()
				console.Say("%d of %s", n, view.Count(all, "run"))
			}
		},
	})
	sum.Seconds = time.Since(begin).Seconds()
	if errors.Is(err, mlflow.ErrUnavailable) {
		err = fmt.Errorf("MLflow cannot be reached; repeat the command when it is back, what is written stays as it is: %w", err)
	}
	if err == nil && len(sum.Failed)+len(sum.Unknown) > 0 {
		err = exit.Silent(exit.CodeError)
	}
	return exit.Join(err, console.Print(sum.Result()))
}
