package livemetrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// Reader reads the metric events of one phase from the stream, in stream
// order, each of them once.
type Reader interface {
	// Read goes on after the last event of the call before.
	Read(ctx context.Context, each func(events.Event)) error
	// HasRead reports whether Read has passed a message.
	HasRead(m codec.Message) bool
}

// MetricLogger is the part of an MLflow target that takes metric points.
type MetricLogger interface {
	LogMetrics(ctx context.Context, runID string, points []mlflow.Metric) error
}

// Forwarder forwards the points of all running phases.
type Forwarder struct {
	readerOf    func(run string, p events.Phase) Reader
	requestSync func(run string)
	log         *slog.Logger

	mu      sync.Mutex
	runs    map[string]map[events.Phase]*liveRun // nil: detached
	dropped map[string]time.Time
}

// New returns a forwarder. readerOf returns a reader that starts at the first
// event of a phase. requestSync is called for a run that is not in MLflow yet.
func New(readerOf func(run string, p events.Phase) Reader, requestSync func(run string), log *slog.Logger) *Forwarder {
	return &Forwarder{
		readerOf:    readerOf,
		requestSync: requestSync,
		log:         log,
		runs:        map[string]map[events.Phase]*liveRun{},
		dropped:     map[string]time.Time{},
	}
}

// Handle forwards the new points of the phase that a metric event belongs to.
// It asks for the event again if the phase has no MLflow run yet.
func (f *Forwarder) Handle(ctx context.Context, d delivery.Delivery) error {
	run, p, points := projection.Metrics(d.Event)
	if len(points) == 0 {
		return nil
	}
	live, state := f.lookup(run, p)
	switch state {
	case detached:
		return nil
	case unknown:
		f.requestSync(run)
		return &delivery.RetryAfter{Delay: time.Second, Err: fmt.Errorf("run %s is not in MLflow yet", run)}
	}
	if err := live.forward(ctx, d.Message); err != nil && !errors.Is(err, mlflow.ErrUnavailable) {
		f.log.Warn("metric points not written; they come with the phase's history", "run", run, "phase", p, "error", err)
	}
	return nil
}
