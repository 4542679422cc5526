package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmetrics"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/version"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/finetune"
	"github.com/tunebus/tunebus/services/inference"
	"github.com/tunebus/tunebus/services/intake"
	"github.com/tunebus/tunebus/services/tracker"
)

// settings reads the settings: the file that is usually read, what --settings
// names instead, and the files of a specification, which may hold settings
// too.
func (a *app) settings(specifications []string) (settings.Settings, error) {
	files := a.settingsFiles
	if len(files) == 0 {
		files = settings.Files(os.Environ())
	}
	s, err := settings.Load(append(files[:len(files):len(files)], specifications...), os.Environ())
	if err != nil {
		return s, bad(fmt.Errorf("settings: %w", err))
	}
	return s, nil
}

// place is what flags say about the services of this process, over the
// settings.
type place struct {
	data, reports, tracking string
	relaxed                 bool
	keys                    keys
}

func (p *place) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.data, "data", "", "folder of the embedded server and the artifacts; default: the settings' data.folder, tunebus-data")
	f.StringVar(&p.reports, "reports", "", "folder of the reports; default: the settings' services.tracker.reports, reports")
	f.StringVar(&p.tracking, "tracking-uri", "", "MLflow: http(s):// server or file: folder; default: the specification's, then the settings', file:./mlruns")
	p.keys.flags(c)
	f.BoolVar(&p.relaxed, "relaxed-sync", false, "fsync every two minutes instead of every write")
}

// over puts what the flags say over the settings, and the defaults that hold
// for services in one process of a person's own under them.
func (p *place) over(s *settings.Settings) error {
	wd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("working folder: %w", err)
	}
	set := func(key *string, value string) {
		if value != "" {
			*key = value
		}
	}
	p.keys.over(&s.Credentials)
	set(&s.Data.Folder, p.data)
	set(&s.Tracker.Reports, p.reports)
	set(&s.Tracker.TrackingURI, p.tracking)
	if len(s.Data.Roots) == 0 {
		s.Data.Roots = []string{wd}
	}
	if s.Tracker.FileRoot == "" {
		s.Tracker.FileRoot = wd
	}
	if s.Data.Scratch == "" {
		s.Data.Scratch = filepath.Join(s.Data.Folder, "scratch")
	}
	return nil
}

// start starts all services in this process.
func (a *app) start(ctx context.Context, s settings.Settings, listen string, relaxed bool) (*standalone.Local, error) {
	log := a.logger()
	sources, err := service.Sources(s, log)
	if err != nil {
		return nil, bad(err)
	}
	t, err := tracker.ConfigFrom(s, os.Getenv)
	if err != nil {
		return nil, bad(err)
	}
	t.Version = version.Current()
	// Better now than when a run has worked for hours.
	if err := os.MkdirAll(t.Reports, 0o755); err != nil {
		return nil, bad(fmt.Errorf("folder of the reports: %w", err))
	}
	if err := os.MkdirAll(s.Data.Folder, 0o750); err != nil {
		return nil, bad(fmt.Errorf("data folder %s: %w", s.Data.Folder, err))
	}
	if !llm.SIMD {
		a.say("this program was built without vector instructions; its engine takes several times as long. Build with GOEXPERIMENT=simd, as make does")
	}
	return standalone.Start(ctx, standalone.Config{
		Data: s.Data.Folder, Scratch: s.Data.Scratch, Artifacts: s.Artifacts.URL, Patience: s.Artifacts.Patience, ObjectBytes: objectBytes, Listen: listen, RelaxedSync: relaxed,
		Engines: engines(s), Workers: workers(s), Layout: topology.Topology{Queues: queues(s)}, UnknownFor: s.Bus.UnknownFor, Sources: sources, Tracker: t,
		Intake: intake.Config{Limits: s.Limits, FullAt: s.Intake.FullAt, CancelGrace: s.Intake.Patience},
		Sample: hostmetrics.New(ctx).Sample, Logger: log,
	})
}

func engines(s settings.Settings) map[events.Phase]engine.Engine {
	e := s.Evaluation
	judge := evaluation.Judge{
		BaseURL: e.JudgeBaseURL, Allowed: e.JudgeAllowed, Parallel: e.JudgeParallel,
		Key: func(address string) string { return s.Key(address, os.Getenv) },
	}
	return map[events.Phase]engine.Engine{
		events.Finetune:   finetune.Engine{},
		events.Inference:  inference.Engine{SaveEvery: s.Inference.SaveEvery},
		events.Evaluation: evaluation.Engine{SaveEvery: e.SaveEvery, Judge: judge},
	}
}

func workers(s settings.Settings) map[events.Phase]settings.Worker {
	return map[events.Phase]settings.Worker{events.Finetune: s.Finetune, events.Inference: s.Inference.Worker(), events.Evaluation: s.Evaluation.Worker()}
}

// queues are the usual ones and those that this process takes jobs from.
func queues(s settings.Settings) map[events.Phase][]string {
	out := topology.DefaultQueues()
	for p, w := range workers(s) {
		if !slices.Contains(out[p], w.Queue) {
			out[p] = append(out[p], w.Queue)
		}
	}
	return out
}
