package projection

import (
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// TestMetrics: the points of telemetry get MLflow's prefix, and the event
// itself stays as it was decoded.
func TestMetrics(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	points := []events.Point{{Key: "loss", Value: 0.5, Step: 7, Time: at}}
	for _, c := range []struct {
		ev  events.Event
		key string
	}{
		{events.Progress{RunID: "r", Phase: events.Finetune, Points: points}, "loss"},
		{events.Telemetry{RunID: "r", Phase: events.Finetune, Points: points}, "system/loss"},
	} {
		for range 2 {
			run, p, got := Metrics(c.ev)
			want := []mlflow.Metric{{Key: c.key, Value: 0.5, Timestamp: at, Step: 7}}
			if run != "r" || p != events.Finetune || !slices.Equal(got, want) {
				t.Errorf("%T: %s, %s, %v", c.ev, run, p, got)
			}
		}
	}
	if run, p, got := Metrics(events.PhaseStarted{RunID: "r"}); run != "" || p != "" || got != nil {
		t.Errorf("another event: %s, %s, %v", run, p, got)
	}
}
