package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/pipeline/bus/runindex"
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
			if err := o.withoutSecrets(cfg); err != nil {
				return err
			}
			if err := a.preflight(c.Context(), cfg, o); err != nil {
				return err
			}
			return a.run(c.Context(), cfg, p.relaxed, trackingLimit, o, a.sendLater(cfg, q.files, o.id))
		},
	}
	q.flags(c)
	p.flags(c)
	c.Flags().DurationVar(&trackingLimit, "tracking-timeout", 30*time.Second, "longest wait for MLflow behind the end of the run")
	return c
}

func (a *app) run(ctx context.Context, cfg settings.Settings, relaxed bool, trackingLimit time.Duration, o order, later string) (err error) {
	l, err := a.start(ctx, cfg, "", relaxed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Stop()) }()
	if open, err := runindex.New(l.Bus).Open(ctx); err == nil && len(open) > 0 {
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
		a.say("tracking is pending: %s could not be reached; this sends it later:\n  %s", cfg.Tracker.TrackingURI, later)
	}
	return outcome(run)
}

// sendLater is the command that tracks a run whose MLflow could not be
// reached, on the data folder that this process leaves behind.
func (a *app) sendLater(cfg settings.Settings, specifications []string, run string) string {
	args := []string{"tunebus", "replay", "tracking", "--run", run, "--data", cfg.Data.Folder, "--reports", cfg.Tracker.Reports, "--tracking-uri", cfg.Tracker.TrackingURI}
	files := a.settingsFiles
	// A file of a specification may hold settings too.
	plain, perr := a.settings(nil)
	whole, werr := a.settings(specifications)
	if perr == nil && werr == nil && !reflect.DeepEqual(plain, whole) {
		if len(files) == 0 {
			files = settings.Files(os.Environ())
		}
		files = append(files[:len(files):len(files)], specifications...)
	}
	for _, f := range files {
		args = append(args, "--settings", f)
	}
	for i, arg := range args {
		args[i] = quoted(arg)
	}
	return strings.Join(args, " ")
}

// quoted is a word of a command line, as a shell reads it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,~", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
