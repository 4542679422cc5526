// Package inprocess starts every service of the pipeline in this process, as
// flags and settings say. "tunebus run" and "tunebus up" are built on it.
//
// [Start] checks the folders and addresses of the services before it starts
// any, because a fault should not show when a run has worked for hours.
package inprocess

import (
	"context"
	"fmt"
	"os"

	"github.com/tunebus/tunebus/pipeline/engine"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/hostmetrics"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/evaluation"
	"github.com/tunebus/tunebus/services/finetune"
	"github.com/tunebus/tunebus/services/inference"
	"github.com/tunebus/tunebus/services/intake"
	"github.com/tunebus/tunebus/services/tracker"
)

// Server says how the embedded server is reached and how it writes.
type Server struct {
	// Listen is host:port for clients outside of the process; empty: none.
	Listen string
	// RelaxedSync makes the server fsync less often.
	RelaxedSync bool
}

// Start starts the server and all services. Stop of what it returns has to be
// called in the end.
func Start(ctx context.Context, s *session.Session, cfg settings.Settings, server Server) (*standalone.Local, error) {
	log := s.Logger()
	sources, err := service.Sources(cfg, log)
	if err != nil {
		return nil, exit.Input(err)
	}
	track, err := tracker.ConfigFrom(cfg, os.Getenv)
	if err != nil {
		return nil, exit.Input(err)
	}
	track.Version = s.Version
	if err := os.MkdirAll(track.Reports, 0o755); err != nil {
		return nil, exit.Input(fmt.Errorf("folder of the reports: %w", err))
	}
	if err := os.MkdirAll(cfg.Data.Folder, 0o750); err != nil {
		return nil, exit.Input(fmt.Errorf("data folder %s: %w", cfg.Data.Folder, err))
	}
	if !llm.SIMD {
		s.Console.Say("this program was built without vector instructions; its engine takes several times as long. Build with GOEXPERIMENT=simd, as make does")
	}
	return standalone.Start(ctx, standalone.Config{
		Data:        cfg.Data.Folder,
		Scratch:     cfg.Data.Scratch,
		Artifacts:   cfg.Artifacts.URL,
		Patience:    cfg.Artifacts.Patience,
		ObjectBytes: session.ObjectBytes,
		Listen:      server.Listen,
		RelaxedSync: server.RelaxedSync,
		Engines:     engines(cfg),
		Workers:     session.Workers(cfg),
		Layout:      topology.Topology{Queues: session.Queues(cfg)},
		UnknownFor:  cfg.Bus.UnknownFor,
		Sources:     sources,
		Tracker:     track,
		Intake:      intake.Config{Limits: cfg.Limits, FullAt: cfg.Intake.FullAt, CancelGrace: cfg.Intake.Patience},
		Sample:      hostmetrics.New(ctx).Sample,
		Logger:      log,
	})
}

func engines(s settings.Settings) map[events.Phase]engine.Engine {
	return map[events.Phase]engine.Engine{
		events.Finetune:   finetune.Engine{},
		events.Inference:  inference.Engine{SaveEvery: s.Inference.SaveEvery},
		events.Evaluation: evaluation.Engine{SaveEvery: s.Evaluation.SaveEvery, Judge: Judge(s)},
	}
}

// Judge returns the judge of the judged metrics.
func Judge(s settings.Settings) evaluation.Judge {
	e := s.Evaluation
	return evaluation.Judge{
		BaseURL:  e.JudgeBaseURL,
		Allowed:  e.JudgeAllowed,
		Parallel: e.JudgeParallel,
		Key:      func(address string) string { return s.Key(address, os.Getenv) },
	}
}
