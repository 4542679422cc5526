package tracker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// live is where the metric points of phases under way go, so that a chart
// grows while the model learns. The history that a phase stores in the end
// holds the same points with the same times, and targets take a point once.
type live struct {
	mu    sync.Mutex
	runs  map[string]map[events.Phase]*place // nil: the points come with the history
	ended map[string]time.Time
}

// place is the MLflow run of a phase. What is written there follows from the
// stream alone, so that all trackers write the same: the announcements are read
// in their order from the first one on, and of each metric the steps only grow.
// An attempt that repeats the steps of the one before adds nothing, whoever of
// the two is late, and whichever tracker hears of it.
type place struct {
	target mlflow.Target
	id     string

	mu    sync.Mutex // one reads and writes at a time
	said  *history.MetricReader
	steps map[string]int64 // of each metric the newest
}

func newLive() *live {
	return &live{runs: map[string]map[events.Phase]*place{}, ended: map[string]time.Time{}}
}

// found notes where the points of a phase go.
func (l *live) found(run string, p events.Phase, to *place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[run] == nil {
		l.runs[run] = map[events.Phase]*place{}
	}
	if _, ok := l.runs[run][p]; !ok {
		l.runs[run][p] = to
	}
}

// done notes that the points of a phase come with its history from here on.
func (l *live) done(run string, p events.Phase) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[run] == nil {
		l.runs[run] = map[events.Phase]*place{}
	}
	l.runs[run][p] = nil
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

// of is where the points of a phase go. known is false if nobody has said
// where yet; there is no place where nothing need be written.
func (l *live) of(run string, p events.Phase) (to *place, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.ended[run]; ok {
		return nil, true
	}
	to, known = l.runs[run][p]
	return to, known
}

// Points hears of metric points of a phase under way and writes what was
// announced since the last time. Points that are lost on the way come with the
// phase's history.
func (s *Service) Points(ctx context.Context, d delivery.Delivery) error {
	run, p, points := pointsOf(d.Event)
	to, known := s.live.of(run, p)
	switch {
	case len(points) == 0 || known && to == nil:
		return nil
	case !known:
		s.due.put(run, time.Now())
		return &delivery.RetryAfter{Delay: time.Second, Err: fmt.Errorf("run %s has no place in MLflow yet", run)}
	}
	if err := to.write(ctx, d.Message); err != nil && !errors.Is(err, mlflow.ErrUnavailable) {
		s.cfg.Logger.Warn("metric points not written; they come with the phase's history", "run", run, "phase", p, "error", err)
	}
	return nil
}

// write writes what was announced up to a message, unless it is written.
func (p *place) write(ctx context.Context, m codec.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said.HasRead(m) {
		return nil
	}
	var fresh []mlflow.Metric
	err := p.said.Read(ctx, func(ev events.Event) {
		_, _, points := pointsOf(ev)
		for _, point := range points {
			if last, ok := p.steps[point.Key]; !ok || point.Step > last {
				p.steps[point.Key] = point.Step
				fresh = append(fresh, metric(point))
			}
		}
	})
	if len(fresh) > 0 {
		err = errors.Join(err, p.target.LogMetrics(ctx, p.id, fresh))
	}
	return err
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
