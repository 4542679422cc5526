package tracker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// live is where the metric points of phases under way go, so that a chart
// grows while the model learns. The history that a phase stores in the end
// holds the same points with the same times, and targets take a point once.
type live struct {
	mu    sync.Mutex
	runs  map[string]map[events.Phase]place
	ended map[string]time.Time
}

// place is the MLflow run of a phase, and up to which step each metric has
// been written there: an attempt that repeats the steps of the one before adds
// nothing.
type place struct {
	target mlflow.Target
	id     string
	steps  map[string]int64
}

func newLive() *live {
	return &live{runs: map[string]map[events.Phase]place{}, ended: map[string]time.Time{}}
}

// found notes where the points of a phase go.
func (l *live) found(run string, p events.Phase, target mlflow.Target, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[run] == nil {
		l.runs[run] = map[events.Phase]place{}
	}
	if _, ok := l.runs[run][p]; !ok {
		l.runs[run][p] = place{target: target, id: id, steps: map[string]int64{}}
	}
}

// done notes that the points of a phase come with its history from here on.
func (l *live) done(run string, p events.Phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[run] == nil {
		l.runs[run] = map[events.Phase]place{}
	}
	l.runs[run][p] = place{}
}

// forget drops a run that has ended. For a while its points, which may still
// come, are known to be written already.
func (l *live) forget(run string) {
	const remember = 10 * time.Minute
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs, run)
	now := time.Now()
	for id, at := range l.ended {
		if now.Sub(at) > remember {
			delete(l.ended, id)
		}
	}
	l.ended[run] = now
}

// fresh returns where points go and those of them that are new there. known is
// false if nobody has said where, ended tells that nothing need be written.
func (l *live) fresh(run string, p events.Phase, points []events.Point) (to place, out []mlflow.Metric, known, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.ended[run]; ok {
		return place{}, nil, false, true
	}
	to, known = l.runs[run][p]
	if !known || to.target == nil {
		return place{}, nil, false, known
	}
	newest := map[string]int64{}
	for _, point := range points {
		if last, ok := to.steps[point.Key]; ok && point.Step <= last {
			continue
		}
		newest[point.Key] = max(newest[point.Key], point.Step)
		out = append(out, metric(point))
	}
	for key, step := range newest {
		to.steps[key] = step
	}
	return to, out, true, false
}

// Points writes the metric points of a phase under way. Points that are lost
// on the way come with the phase's history.
func (s *Service) Points(ctx context.Context, d bus.Delivery) error {
	run, p, points := pointsOf(d.Event)
	to, fresh, known, ended := s.live.fresh(run, p, points)
	switch {
	case ended || len(points) == 0:
		return nil
	case !known:
		s.due.put(run, time.Now())
		return &bus.Later{Delay: time.Second, Err: fmt.Errorf("run %s has no place in MLflow yet", run)}
	case len(fresh) == 0:
		return nil
	}
	if err := to.target.LogMetrics(ctx, to.id, fresh); err != nil && !errors.Is(err, mlflow.ErrUnavailable) {
		s.cfg.Logger.Warn("metric points not written; they come with the phase's history", "run", run, "phase", p, "error", err)
	}
	return nil
}

func pointsOf(ev events.Event) (string, events.Phase, []events.Point) {
	switch e := ev.(type) {
	case events.Progress:
		return e.RunID, e.Phase, e.Points
	case events.Telemetry:
		for i := range e.Points {
			e.Points[i].Key = "system/" + e.Points[i].Key
		}
		return e.RunID, e.Phase, e.Points
	default:
		return "", "", nil
	}
}
