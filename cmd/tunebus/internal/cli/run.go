package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
			o, err := q.order(c)
			if err != nil {
				return err
			}
			s := &o.specification
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
			if err := a.preflight(c.Context(), cfg, o); err != nil {
				return err
			}
			return a.run(c.Context(), cfg, p.relaxed, trackingLimit, o)
		},
	}
	q.flags(c)
	p.flags(c)
	c.Flags().DurationVar(&trackingLimit, "tracking-timeout", 30*time.Second, "longest wait for MLflow behind the end of the run")
	return c
}

func (a *app) run(ctx context.Context, cfg settings.Settings, relaxed bool, trackingLimit time.Duration, o order) (err error) {
	l, err := a.start(ctx, cfg, "", relaxed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	if open, err := l.Bus.OpenRuns(ctx); err == nil && len(open) > 0 {
		a.say("finishing what was interrupted on this data folder: %s", strings.Join(open, ", "))
	}
	placed, err := o.place(ctx, l.Bus, l.Store)
	if err != nil {
		return err
	}
	run, err := a.follow(ctx, l.Bus, o.id, placed.Sequence, trackingLimit)
	if err != nil {
		if ctx.Err() != nil {
			a.say("interrupted; the next run or up on this data folder goes on with %s", o.id)
		}
		return err
	}
	s := summaryOf(run)
	s.written(cfg.Tracker.Reports)
	if err := a.result(s, func(w io.Writer) { closing(w, run, s, o.again) }); err != nil {
		return err
	}
	if run.Tracked == nil {
		a.say("tracking is pending: %s could not be reached; \"tunebus up\" on this data folder sends it later", cfg.Tracker.TrackingURI)
	}
	return outcome(run)
}
