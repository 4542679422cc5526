package livemetrics

import (
	"context"
	"errors"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/metrics"
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
	// samples leave out those of an attempt that lost its job, as the metric history does.
	samples metrics.Samples
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
		if !r.samples.Count(ev) {
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
