package tracker

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// artifactMetrics is the metric history: one [events.Point] as JSON a line.
const artifactMetrics = "metrics"

// points writes the metric points of a phase that has ended: its history, or
// what its attempts announced where it left none.
func (w *writer) points(ctx context.Context, id string, p events.Phase, done *events.PhaseCompleted) error {
	ref, ok := done.Artifact(artifactMetrics)
	if !ok {
		return w.announced(ctx, id, p)
	}
	if ref.Store != w.service.store.ID() {
		return nil // which is a gap already
	}
	return w.history(ctx, id, ref)
}

// batch is how many points are written at once.
const batch = 1000

// history sends the metric history in batches, as it is read.
func (w *writer) history(ctx context.Context, id string, ref events.Reference) error {
	r, err := w.service.store.Get(ctx, ref)
	if err != nil {
		return err
	}
	defer r.Close()
	var points []mlflow.Metric
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var p events.Point
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			w.gaps = append(w.gaps, fmt.Sprintf("metric history %s: %v", ref.Key, err))
			break
		}
		points = append(points, metric(p))
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
	return w.log(ctx, id, points)
}

// announced sends the points that the stream still holds. Of a metric's step
// the point that was announced first counts.
func (w *writer) announced(ctx context.Context, id string, p events.Phase) error {
	type spot struct {
		key  string
		step int64
	}
	seen := map[spot]bool{}
	var points []mlflow.Metric
	err := history.New(w.service.bus).Metrics(w.run.ID, p).Read(ctx, func(ev events.Event) {
		_, _, some := pointsOf(ev)
		for _, point := range some {
			if at := (spot{point.Key, point.Step}); !seen[at] {
				seen[at] = true
				points = append(points, metric(point))
			}
		}
	})
	if err != nil {
		return err
	}
	return w.log(ctx, id, points)
}

func (w *writer) log(ctx context.Context, id string, points []mlflow.Metric) error {
	if len(points) == 0 {
		return nil
	}
	return w.target.LogMetrics(ctx, id, points)
}

func metric(p events.Point) mlflow.Metric {
	return mlflow.Metric{Key: p.Key, Value: p.Value, Timestamp: p.Time, Step: p.Step}
}
