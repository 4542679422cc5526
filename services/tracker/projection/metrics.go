package projection

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Metrics are the points of a metric event, with the run and the phase that
// they belong to. Other events have none.
func Metrics(ev events.Event) (run string, p events.Phase, points []mlflow.Metric) {
	switch e := ev.(type) {
	case events.Progress:
		return e.RunID, e.Phase, metrics("", e.Points)
	case events.Telemetry:
		return e.RunID, e.Phase, metrics(events.SystemMetricPrefix, e.Points)
	default:
		return "", "", nil
	}
}

func metrics(prefix string, points []events.Point) []mlflow.Metric {
	var out []mlflow.Metric
	for _, p := range points {
		m := Metric(p)
		m.Key = prefix + m.Key
		out = append(out, m)
	}
	return out
}

// Metric is one point of a metric history, whose key is complete.
func Metric(p events.Point) mlflow.Metric {
	return mlflow.Metric{Key: p.Key, Value: p.Value, Timestamp: p.Time, Step: p.Step}
}
