package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/version"
	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/restapi"
	"github.com/tunebus/tunebus/services/tracker/mlflowsync"
)

func (a *app) replayTrackingCommand() *cobra.Command {
	var at stored
	var since string
	var q tracking
	c := &cobra.Command{
		Use: "tracking", Short: "Rebuild MLflow runs, reports and the list of runs from what is stored", Args: cobra.NoArgs,
		Long: `Every run that has ended is written again to MLflow, with its reports and its
line in the list of runs, from the stream, the archive and the artifact store
alone. The times are the original ones, and doing it twice changes nothing. A run
that could not be tracked when it ended is tracked by it from then on.

With --to everything goes to another MLflow, with the credentials of the usual
variables, such as MLFLOW_TRACKING_TOKEN; nothing else changes by that.`,
		Example: `  tunebus replay tracking --run 01J9Z5Q6T3
  tunebus replay tracking --since 30d --to https://mlflow.example --dry-run`,
		PreRunE: func(c *cobra.Command, _ []string) error {
			if len(q.runs) > 0 && c.Flags().Changed("since") {
				return bad(errors.New("--run and --since exclude each other: name runs, or a time"))
			}
			var err error
			q.since, err = timeFlag("--since", since, time.Now())
			return err
		},
		RunE: a.on(&at, func(ctx context.Context, r *room, _ []string) error {
			return a.replayTracking(ctx, r, q)
		}),
	}
	at.flags(c)
	f := c.Flags()
	f.StringArrayVar(&q.runs, "run", nil, "only this run; may be repeated. Default: every run that has ended, archived ones too")
	f.StringVar(&since, "since", "", "only runs requested since then: a day such as 2026-01-31, a time such as 2026-01-31T12:00:00Z, or how long ago, such as 30d")
	f.StringVar(&q.to, "to", "", "another MLflow, http(s):// server or file: folder; default: where each run belongs")
	f.StringVar(&q.uri, "tracking-uri", "", "MLflow of the runs that name none; default: the settings' services.tracker.tracking_uri")
	f.StringVar(&q.reports, "reports", "", "folder of the reports; default: the settings' services.tracker.reports")
	f.BoolVar(&q.dry, "dry-run", false, "only say what would be written")
	return c
}

// tracking says which runs are tracked again, and where.
type tracking struct {
	runs             []string
	since            time.Time
	to, uri, reports string
	dry              bool
}

// retracked is the command's result.
type retracked struct {
	// To is where the runs went, unless each went where it belongs.
	To      string `json:"to,omitempty"`
	Written int    `json:"written"`
	// Recorded are the runs that were not tracked before.
	Recorded []string `json:"recorded,omitempty"`
	Open     int      `json:"open"`
	Early    int      `json:"early,omitempty"`
	Unknown  []string `json:"unknown,omitempty"`
	Failed   []failed `json:"failed,omitempty"`
	// Gaps name what could not be written, by run.
	Gaps    map[string][]string `json:"gaps,omitempty"`
	Seconds float64             `json:"duration_seconds"`
	DryRun  bool                `json:"dry_run"`
}

type failed struct {
	Run string `json:"run_id"`
	Why string `json:"why"`
}

func (a *app) replayTracking(ctx context.Context, r *room, q tracking) error {
	t, err := a.trackerOf(r, q)
	if err != nil {
		return err
	}
	begin, said, n := time.Now(), time.Now(), 0
	sum := retracked{To: t.To, DryRun: q.dry, Gaps: map[string][]string{}}
	err = tracker.New(r.bus, r.store, t).Replay(ctx, tracker.Replay{
		Runs: q.runs, Since: q.since, DryRun: q.dry,
		OnRun: func(one tracker.Rebuilt, all int) {
			sum.add(one)
			if n++; time.Since(said) > 2*time.Second && n < all {
				said = time.Now()
				a.say("%d of %d runs", n, all)
			}
		},
	})
	sum.Seconds = time.Since(begin).Seconds()
	if errors.Is(err, mlflow.ErrUnavailable) {
		err = fmt.Errorf("MLflow cannot be reached; repeat the command when it is back, what is written stays as it is: %w", err)
	}
	if err == nil && len(sum.Failed)+len(sum.Unknown) > 0 {
		err = &statusError{exitError, errors.New("")}
	}
	return errors.Join(a.result(sum, sum.show), err)
}

// trackerOf is the tracker's configuration, with what the flags say over the
// settings.
func (a *app) trackerOf(r *room, q tracking) (tracker.Config, error) {
	cfg := r.cfg
	p := place{reports: q.reports, tracking: q.uri}
	if err := p.over(&cfg); err != nil {
		return tracker.Config{}, err
	}
	t, err := tracker.ConfigFrom(cfg, os.Getenv)
	if err == nil && q.to != "" {
		t, err = t.CopyTo(q.to, os.Getenv)
	}
	if err == nil && q.to != "" {
		_, err = mlflowsync.Open(t.To, restapi.Options{}) // it sends nothing
	}
	if err != nil {
		return t, bad(err)
	}
	t.Version, t.Logger = version.Current(), a.logger()
	return t, nil
}

func (s *retracked) add(one tracker.Rebuilt) {
	switch one.Outcome {
	case tracker.Written:
		s.Written++
	case tracker.Open:
		s.Open++
	case tracker.Early:
		s.Early++
	case tracker.Unknown:
		s.Unknown = append(s.Unknown, one.Run)
	case tracker.Failed:
		s.Failed = append(s.Failed, failed{one.Run, one.Err.Error()})
	}
	if one.Recorded {
		s.Recorded = append(s.Recorded, one.Run)
	}
	if len(one.Gaps) > 0 {
		s.Gaps[one.Run] = one.Gaps
	}
}

func (s *retracked) show(w io.Writer) {
	verb := "written"
	if s.DryRun {
		verb = "would be written"
	}
	fmt.Fprintf(w, "%d runs %s in %.1f s; %d go on\n", s.Written, verb, s.Seconds, s.Open)
	slices.Sort(s.Recorded)
	for _, run := range s.Recorded {
		fmt.Fprintf(w, "tracked now: %s\n", run)
	}
	for _, run := range s.Unknown {
		fmt.Fprintf(w, "unknown: %s\n", run)
	}
	for _, f := range s.Failed {
		fmt.Fprintf(w, "failed: %s: %s\n", f.Run, f.Why)
	}
	for run, gaps := range s.Gaps {
		for _, gap := range gaps {
			fmt.Fprintf(w, "gap of %s: %s\n", run, gap)
		}
	}
}
