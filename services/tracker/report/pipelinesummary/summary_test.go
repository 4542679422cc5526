package pipelinesummary

import (
	"testing"

	"github.com/tunebus/tunebus/events"
)

func TestUnfinishedRuns(t *testing.T) {
	t.Parallel()
	rejected := events.Fold([]events.Fact{events.PipelineRejected{RequestSequence: 9, RunID: "r", Faults: []events.Fault{{Key: "k"}}}})
	if s := Of(rejected); s.Status != "rejected" || len(s.Faults) != 1 || s.Lineage.RequestSequence != 9 {
		t.Errorf("rejected %+v", s)
	}
	partial := Of(events.Run{Completed: &events.PipelineCompleted{Conclusion: events.Success, Gates: []events.Gate{{Metric: "m"}}}})
	if partial.Status != "partial" || partial.Conclusion != events.Success {
		t.Errorf("of a missed gate: %s, %s", partial.Status, partial.Conclusion)
	}
	if s := Of(events.Run{}); s.Status != events.StatusUnknown {
		t.Errorf("unknown %+v", s)
	}
}
