package livemetrics

import (
	"context"
	"errors"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// liveRun is the MLflow run of a running phase.
type liveRun struct {
	to MetricLogger
	id string

	// turn holds a value while a call reads and writes: one does at a time. Who
	// waits for it waits with a context, since MLflow may take minutes.
	turn   chan struct{}
	reader Reader
	newest newestSteps
	// sampledBy is the newest attempt of which a sample of the machine was read.
	sampledBy int
}

// forward writes the points of the stream that are not written yet, unless
// message m was among those that were read before.
func (r *liveRun) forward(ctx context.Context, m codec.Message) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.turn }()
	if r.reader.HasRead(m) {
		return nil
	}
	var points []mlflow.Metric
	err := r.reader.Read(ctx, func(ev events.Event) {
		if r.isStale(ev) {
			return
		}
		_, _, published := projection.Metrics(ev)
		points = append(points, r.newest.advance(published)...)
	})
	if len(points) > 0 {
		err = errors.Join(err, r.to.LogMetrics(ctx, r.id, points))
	}
	return err
}

// isStale reports whether an event is a sample of an attempt that is not the
// newest one. The metric history may lack it: the newest attempt numbers its own
// samples, and reads those of earlier ones once, when it finishes the history.
// What it did read comes with the history.
func (r *liveRun) isStale(ev events.Event) bool {
	sample, ok := ev.(events.Telemetry)
	if !ok {
		return false
	}
	r.sampledBy = max(r.sampledBy, sample.Attempt)
	return sample.Attempt < r.sampledBy
}

// newestSteps is the newest step of each metric. Steps only grow: an attempt
// that repeats the steps of an earlier one adds nothing, whichever attempt or
// tracker is late.
type newestSteps map[string]int64

// advance returns the points beyond the newest steps, and moves the newest
// steps to them.
func (s newestSteps) advance(points []mlflow.Metric) []mlflow.Metric {
	var beyond []mlflow.Metric
	for _, p := range points {
		if newest, ok := s[p.Key]; !ok || p.Step > newest {
			s[p.Key] = p.Step
			beyond = append(beyond, p)
		}
	}
	return beyond
}
