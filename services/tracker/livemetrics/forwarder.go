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

// state is the state of a phase.
type state int

const (
	unknown  state = iota // it has no MLflow run yet
	attached              // its points go to an MLflow run
	detached              // its points come with its metric history
)

// Attach forwards the points of a phase to an MLflow run from here on, unless
// the phase is attached already or detached.
func (f *Forwarder) Attach(run string, p events.Phase, to MetricLogger, mlflowRun string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	phases := f.phasesOf(run)
	if _, ok := phases[p]; !ok {
		phases[p] = &liveRun{reader: f.readerOf(run, p), to: to, id: mlflowRun, turn: make(chan struct{}, 1), newest: newestSteps{}}
	}
}

// Detach ignores the points of a phase from here on: it is completed, so its
// metric history holds them.
func (f *Forwarder) Detach(run string, p events.Phase) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.phasesOf(run)[p] = nil
}

func (f *Forwarder) phasesOf(run string) map[events.Phase]*liveRun {
	if f.runs[run] == nil {
		f.runs[run] = map[events.Phase]*liveRun{}
	}
	return f.runs[run]
}

// Drop detaches all phases of a run. It remembers the run for some minutes,
// because metric events may still arrive, and forgets runs that were dropped long
// ago.
func (f *Forwarder) Drop(run string) {
	const remember = 10 * time.Minute
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.runs, run)
	for id, at := range f.dropped {
		if now.Sub(at) > remember {
			delete(f.dropped, id)
		}
	}
	f.dropped[run] = now
}

// lookup returns the live run of a phase that is attached.
func (f *Forwarder) lookup(run string, p events.Phase) (*liveRun, state) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.dropped[run]; ok {
		return nil, detached
	}
	switch live, ok := f.runs[run][p]; {
	case !ok:
		return nil, unknown
	case live == nil:
		return nil, detached
	default:
		return live, attached
	}
}
