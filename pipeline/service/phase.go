package service

import (
	"context"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmetrics"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// AddPhase adds a worker of a phase, which measures the machine while it
// works.
func (s *Service) AddPhase(ctx context.Context, p events.Phase, cfg settings.Worker, e engine.Engine) error {
	sources, err := Sources(s.Settings, s.Log)
	if err != nil {
		return err
	}
	w := worker.New(s.Bus, s.Store, e, worker.Config{
		Phase:            p,
		Queue:            cfg.Queue,
		Slots:            cfg.Slots,
		Grace:            cfg.Grace,
		MaxBackoff:       s.Settings.Limits.Backoff,
		StoreRetryBudget: s.Settings.Artifacts.Patience,
		Sources:          sources,
		Scratch:          s.Settings.Data.Scratch,
		Name:             s.Name,
		Sample:           hostmetrics.New(ctx).Sample,
		Logger:           s.Log,
	})
	w.Sweep()
	s.Add(w.Route())
	return nil
}
