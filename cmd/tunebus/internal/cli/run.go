package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/pipeline/settings"
)

func (a *app) runCommand() *cobra.Command {
	var q asked
	var p place
	var trackingLimit time.Duration
	c := &cobra.Command{
		Use: "run", Short: "Run one pipeline from start to end in this process", Args: cobra.NoArgs,
		Example: "  tunebus run --config configs/quickstart.toml",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := q.read(c)
			if err != nil {
				return err
			}
			files, err := q.uploads(s)
			if err != nil {
				return err
			}
			cfg, err := a.settings(q.files)
			if err != nil {
				return err
			}
			// The person's own file is the allowance.
			if s.MLflow.TrackingURI != "" {
				cfg.Tracker.TrackingURI = s.MLflow.TrackingURI
			}
			if s.Evaluator.JudgeBaseURL != "" {
				cfg.Evaluation.JudgeAllowed = append(cfg.Evaluation.JudgeAllowed, s.Evaluator.JudgeBaseURL)
			}
			s.MLflow.TrackingURI = "" // this process tracks where its owner says
			if err := p.over(&cfg); err != nil {
				return err
			}
			if err := a.preflight(c.Context(), cfg, s, files); err != nil {
				return err
			}
			return a.run(c.Context(), cfg, p.relaxed, trackingLimit, s, files)
		},
	}
	q.flags(c)
	p.flags(c)
	c.Flags().DurationVar(&trackingLimit, "tracking-timeout", 30*time.Second, "longest wait for MLflow behind the end of the run")
	return c
}

func (a *app) run(ctx context.Context, cfg settings.Settings, relaxed bool, trackingLimit time.Duration, s events.Specification, files map[string]string) (err error) {
	l, err := a.start(ctx, cfg, "", relaxed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	if open, err := l.Bus.OpenRuns(ctx); err == nil && len(open) > 0 {
		a.say("finishing what was interrupted on this data folder: %s", strings.Join(open, ", "))
	}
	id := ulid.Make().String()
	if err := request(ctx, l.Bus, l.Store, id, s, files); err != nil {
		return err
	}
	run, err := a.follow(ctx, l.Bus, id, trackingLimit)
	if err != nil {
		if ctx.Err() != nil {
			a.say("interrupted; the next run or up on this data folder goes on with %s", id)
		}
		return err
	}
	if err := a.result(summaryOf(run), func(w io.Writer) { table(w, run) }); err != nil {
		return err
	}
	if run.Tracked == nil {
		a.say("tracking is pending: %s could not be reached; \"tunebus up\" on this data folder sends it later", cfg.Tracker.TrackingURI)
	}
	return outcome(run)
}

// request uploads the files and publishes the request of a run.
func request(ctx context.Context, b *bus.Bus, store *artifact.Store, id string, s events.Specification, files map[string]string) error {
	refs, err := upload(ctx, store, id, files)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req := events.PipelineRequested{RunID: id, Specification: raw, Inputs: inputs(refs)}
	_, err = b.Publish(ctx, req, bus.Fence{})
	return err
}

// runSummary is a run's end for scripts.
type runSummary struct {
	RunID          string               `json:"run_id"`
	RunName        string               `json:"run_name"`
	Status         events.Status        `json:"status"`
	Seconds        float64              `json:"duration_seconds,omitempty"`
	Phases         []events.PhaseResult `json:"phases,omitempty"`
	Scores         map[string]float64   `json:"scores,omitempty"`
	BaselineScores map[string]float64   `json:"baseline_scores,omitempty"`
	Links          map[string]string    `json:"links,omitempty"`
	Pending        bool                 `json:"tracking_pending"`
}

func summaryOf(run events.Run) runSummary {
	s := runSummary{RunID: run.ID, Status: run.Status(), Pending: run.Tracked == nil}
	if run.Accepted != nil {
		s.RunName = run.Accepted.RunName
	}
	if c := run.Completed; c != nil {
		s.Seconds, s.Phases, s.Scores, s.BaselineScores = c.DurationSeconds, c.Phases, c.Scores, c.BaselineScores
	}
	if run.Tracked != nil {
		s.Links = run.Tracked.Links
	}
	return s
}

// table writes a run's end for people.
func table(w io.Writer, run events.Run) {
	s := summaryOf(run)
	fmt.Fprintf(w, "\n%s (%s): %s in %.1f s\n\n", s.RunName, s.RunID, s.Status, s.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PHASE\tSTATUS\tSECONDS\tATTEMPTS")
	for _, p := range s.Phases {
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%d\n", p.Phase, p.Conclusion, p.DurationSeconds, p.Attempts)
	}
	_ = t.Flush() // to a person's screen
	if len(s.Scores) > 0 {
		fmt.Fprintln(w)
		fmt.Fprintln(t, "SCORE\tBASE MODEL\tTUNED MODEL")
		for _, name := range slices.Sorted(maps.Keys(s.Scores)) {
			before := "-"
			if v, ok := s.BaselineScores[name]; ok {
				before = fmt.Sprintf("%.3f", v)
			}
			fmt.Fprintf(t, "%s\t%s\t%.3f\n", name, before, s.Scores[name])
		}
		_ = t.Flush()
	}
	if len(s.Links) > 0 {
		fmt.Fprintln(w)
		for _, name := range slices.Sorted(maps.Keys(s.Links)) {
			fmt.Fprintf(t, "%s\t%s\n", name, s.Links[name])
		}
		_ = t.Flush()
	}
	fmt.Fprintf(w, "\nNext: open the workbook, or try your own model and data with --set fine_tuner.training_data_id=my.jsonl\n")
}
