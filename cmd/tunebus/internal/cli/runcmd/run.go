package runcmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/follow"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/preflight"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/runwatch"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/tracker/report"
)

type runFlags struct {
	request  runrequest.Flags
	services inprocess.Flags
	// trackingLimit is the longest wait for MLflow after the run's end.
	trackingLimit time.Duration
}

// Run is "tunebus run".
func Run(s *session.Session) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run", Short: "Run one pipeline from start to end in this process", Args: cobra.NoArgs,
		Example: "  tunebus run --config configs/quickstart.toml",
		RunE: func(c *cobra.Command, _ []string) error {
			request, cfg, err := f.read(c, s)
			if err != nil {
				return err
			}
			warning, err := preflight.Check(c.Context(), cfg, evaluation.JudgeFrom(cfg, os.Getenv), request)
			if err != nil {
				return err
			}
			if warning != "" {
				s.Console.Say("%s", warning)
			}
			return runToEnd(c.Context(), s, cfg, f, request)
		},
	}
	f.request.AddFlags(c)
	f.services.AddFlags(c)
	c.Flags().DurationVar(&f.trackingLimit, "tracking-timeout", 30*time.Second, "longest wait for MLflow behind the end of the run")
	return c
}

// read reads the request, and the settings of the services that will work on
// it.
func (f *runFlags) read(c *cobra.Command, s *session.Session) (runrequest.Request, settings.Settings, error) {
	request, err := f.request.Request(c)
	if err != nil {
		return request, settings.Settings{}, err
	}
	cfg, err := s.Settings(f.request.Files...)
	if err != nil {
		return request, cfg, err
	}
	// Services use the addresses of a specification only if their settings
	// allow it. Here specification and services belong to the same person.
	specification := &request.Specification
	if specification.MLflow.TrackingURI != "" {
		cfg.Tracker.TrackingURI = specification.MLflow.TrackingURI
	}
	if specification.Evaluator.JudgeBaseURL != "" {
		cfg.Evaluation.JudgeAllowed = append(cfg.Evaluation.JudgeAllowed, specification.Evaluator.JudgeBaseURL)
	}
	specification.MLflow.TrackingURI = "" // the settings have it now
	if err := f.services.Apply(&cfg); err != nil {
		return request, cfg, err
	}
	return request, cfg, request.CheckNoSecrets(cfg)
}

// runToEnd starts the services, submits the request to them, and follows the
// run.
func runToEnd(ctx context.Context, s *session.Session, cfg settings.Settings, f runFlags, request runrequest.Request) (err error) {
	local, err := inprocess.Start(ctx, s, cfg, inprocess.Server{RelaxedSync: f.services.RelaxedSync})
	if err != nil {
		return err
	}
	defer func() { err = exit.Join(err, local.Stop()) }()
	if open, err := runlister.New(local.Bus).Open(ctx); err == nil && len(open) > 0 {
		s.Console.Say("finishing what was interrupted on this data folder: %s", strings.Join(open, ", "))
	}
	sequence, err := request.Publish(ctx, journal.New(local.Bus), local.Store)
	if err != nil {
		return err
	}
	again := runsummary.Retry{Command: request.Again, Data: cfg.Data.Folder}
	run, err := follow.Show(ctx, s.Console, local.Bus, follow.Run{ID: request.ID, Request: sequence, Tracking: f.trackingLimit})
	if err != nil {
		if ctx.Err() != nil {
			s.Console.Say("interrupted; the next run or up on this data folder goes on with %s", request.ID)
		} else if _, ok := errors.AsType[*runwatch.UnansweredError](err); ok {
			err = exit.Timeout(fmt.Errorf("%w\nrun %s is stored, and this goes on with it:\n  %s",
				err, request.ID, s.CommandLine("up", "--data", cfg.Data.Folder)))
		}
		return err
	}
	summary := runsummary.Of(run)
	summary.AddReports(cfg.Tracker.Reports, report.WorkbookName, report.SummaryName, report.PipelineSummaryName)
	status := follow.End(s.Console, run, summary, again)
	if run.Tracked == nil {
		s.Console.Say("tracking is pending: %s could not be reached; this sends it later:\n  %s",
			cfg.Tracker.TrackingURI, trackLater(s, cfg, f.request.Files, request.ID))
	}
	return status
}

// trackLater is the command that tracks a run whose MLflow could not be
// reached, on the data folder that this process leaves behind.
func trackLater(s *session.Session, cfg settings.Settings, specifications []string, run string) string {
	words := []string{
		"tunebus", "replay", "tracking", "--run", run,
		"--data", cfg.Data.Folder, "--reports", cfg.Tracker.Reports, "--tracking-uri", cfg.Tracker.TrackingURI,
	}
	files := s.SettingsFlags()
	// A file of the specification may hold settings, too.
	without, err := s.Settings()
	with, werr := s.Settings(specifications...)
	if err == nil && werr == nil && !reflect.DeepEqual(without, with) {
		files = s.SettingsFiles()
		files = append(files[:len(files):len(files)], specifications...)
	}
	for _, f := range files {
		words = append(words, "--settings", f)
	}
	return shellquote.Join(words...)
}
