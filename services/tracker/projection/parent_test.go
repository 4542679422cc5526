package projection

import (
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// TestPartialTags: MLflow's own status has no word for a run of which a part fell short, so its
// tags say it, and what fell short.
func TestPartialTags(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		end       events.PipelineCompleted
		shortfall string
	}{
		"a gate was missed": {events.PipelineCompleted{Conclusion: events.Success, Gates: []events.Gate{{Metric: "exact_match"}}}, "gate exact_match was missed"},
		"a phase failed":    {events.PipelineCompleted{Conclusion: events.Success, FailedPhases: []events.Phase{events.Evaluation}}, "evaluation failed and the run went on"},
		"all succeeded":     {events.PipelineCompleted{Conclusion: events.Success, Gates: []events.Gate{{Metric: "exact_match", Met: true}}}, ""},
		"it failed":         {events.PipelineCompleted{Conclusion: events.Failure}, ""},
	} {
		want.end.RunID = "r"
		tags := parent(events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r"}, want.end}), "v1").Tags
		partial := slices.Contains(tags, mlflow.Tag{Key: "tunebus.status", Value: "partial"})
		why := slices.Contains(tags, mlflow.Tag{Key: "tunebus.shortfall", Value: want.shortfall})
		if partial != (want.shortfall != "") || why != (want.shortfall != "") {
			t.Errorf("%s: %+v", name, tags)
		}
	}
}
