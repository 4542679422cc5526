package runcmd

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localrun"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/preflight"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/evaluation"
)

type runFlags struct {
	request  runrequest.Flags
	services inprocess.Flags
	local    localrun.Flags
}

// Run is "tunebus run".
func Run(s *session.Session) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run [FILE...]", Short: "Run one pipeline from start to end in this process",
		Example: "  tunebus run configs/quickstart.toml --run-id nightly\n  tunebus run configs/quickstart.toml --set fine_tuner.epochs=1",
		RunE: func(c *cobra.Command, args []string) error {
			f.request.Files = append(f.request.Files, args...)
			request, cfg, err := f.read(c, s)
			if err != nil {
				return err
			}
			warning, err := preflight.Check(c.Context(), cfg, evaluation.JudgeFrom(cfg, os.Getenv), request)
			if err != nil {
				return err
			}
			s.Console.Notes(request.Notes)
			if kept := f.services.Kept(); kept != "" {
				s.Console.Say("%s", kept)
			}
			if warning != "" {
				s.Console.Say("%s", view.Sentence(warning))
			}
			err = f.local.ToEnd(c.Context(), s, localrun.Start{
				Settings:       cfg,
				Specifications: f.request.Files,
				RelaxedSync:    f.services.RelaxedSync,
			}, request)
			if used, ok := errors.AsType[*session.FolderInUseError](err); ok && used.Owner.Data != "" && !used.Owner.Idle {
				used.Do = "this has it work on this run, too:\n  " + s.CommandLine(runrequest.Instead(&f.request, c, Submit(s))...) + notCarried(c)
			}
			return err
		},
	}
	f.request.AddFlags(c)
	f.services.AddFlags(c)
	f.local.AddFlags(c)
	return c
}

// notCarried says which flags a process that works already does not take from a request.
func notCarried(c *cobra.Command) string {
	var lost []string
	for _, name := range []string{"reports", "tracking-uri"} {
		if c.Flags().Changed(name) {
			lost = append(lost, "--"+name)
		}
	}
	if len(lost) == 0 {
		return ""
	}
	return "\nIts reports and its tracking go where that process was told to put them: submit has no " + strings.Join(lost, " and no ")
}

// read reads the request, and the settings of the services that will work on
// it.
func (f *runFlags) read(c *cobra.Command, s *session.Session) (runrequest.Request, settings.Settings, error) {
	if err := f.local.Check(); err != nil {
		return runrequest.Request{}, settings.Settings{}, err
	}
	f.request.Look = inputs.FaultsHere
	f.request.Images = inputs.Images
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
	judged := len(evaluation.Judge{}.Lacks(specification.Evaluator)) > 0
	request.Notes = append(request.Notes, f.services.Unused(*specification, judged)...)
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
