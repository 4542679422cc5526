package mlflowsync

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/metrics"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// logHistory writes the metric points of a completed phase: its metric
// history, or the points that its attempts published if it left none.
func (w *mlflowWriter) logHistory(ctx context.Context, id, run string, p events.Phase, done *events.PhaseCompleted) error {
	ref, ok := done.Artifact(events.ArtifactMetrics)
	if !ok {
		return w.logPublished(ctx, id, run, p)
	}
	if ref.Store != w.store.ID() {
		return nil // putArtifacts has reported the gap
	}
	return w.logStored(ctx, id, ref)
}

// logStored sends the metric history in batches while it reads it.
func (w *mlflowWriter) logStored(ctx context.Context, id string, ref events.Reference) error {
	const batch = 1000
	r, err := w.store.Get(ctx, ref)
	if err != nil {
		return err
	}
	defer r.Close()
	var points []mlflow.Metric
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var p events.Point
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			w.result.Gaps = append(w.result.Gaps, fmt.Sprintf("metric history %s: %v", ref.Key, err))
			break
		}
		points = append(points, projection.Metric(p))
		if len(points) == batch {
			if err := w.target.LogMetrics(ctx, id, points); err != nil {
				return err
			}
			points = points[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("metric history %s: %w", ref.Key, err)
	}
	return w.logRest(ctx, id, points)
}

// logPublished sends the points that the stream still holds.
func (w *mlflowWriter) logPublished(ctx context.Context, id, run string, p events.Phase) error {
	known := metrics.Steps{}
	var samples metrics.Samples
	var points []mlflow.Metric
	err := w.metrics(ctx, run, p, func(ev events.Event) {
		if !samples.Count(ev) {
			return
		}
		_, _, published := projection.Metrics(ev)
		points = append(points, firstOfEach(known, published)...)
	})
	if err != nil {
		return err
	}
	return w.logRest(ctx, id, points)
}

// logRest sends no request without points.
func (w *mlflowWriter) logRest(ctx context.Context, id string, points []mlflow.Metric) error {
	if len(points) == 0 {
		return nil
	}
	return w.target.LogMetrics(ctx, id, points)
}

// firstOfEach returns the points whose step is new, and adds them to the known
// ones.
func firstOfEach(known metrics.Steps, points []mlflow.Metric) []mlflow.Metric {
	var first []mlflow.Metric
	for _, p := range points {
		if known.Add(p.Key, p.Step) {
			first = append(first, p)
		}
	}
	return first
}
