package comparison

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestInputsOfOneDigestAreTheSame: an input whose rows one run never counted is no difference.
func TestInputsOfOneDigestAreTheSame(t *testing.T) {
	t.Parallel()
	same, first, second := strings.Repeat("1", 64), strings.Repeat("2", 64), strings.Repeat("3", 64)
	run := func(testing string) events.Run {
		return events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r", Inputs: events.Inputs{Files: map[string]events.Reference{
			"fine_tuner.training_data_id": {SHA256: same}, "inferencer.testing_data_id": {SHA256: testing},
		}}}})
	}
	counted, uncounted := run(first), run(second)
	counted.Phases = map[events.Phase]*events.PhaseState{events.Finetune: {Completed: &events.PhaseCompleted{
		Datasets: []events.Dataset{{Key: "fine_tuner.training_data_id", SHA256: same, Rows: 367}},
	}}}
	differing := inputs(counted, uncounted)
	if len(differing) != 1 || differing[0].Key != "inferencer.testing_data_id" {
		t.Errorf("%+v", differing)
	}
	if same := inputs(counted, run(first)); len(same) != 0 {
		t.Errorf("of the same files: %+v", same)
	}
}
