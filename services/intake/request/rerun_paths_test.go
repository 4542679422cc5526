package request

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestRerunKeepsPaths: a rerun knows where the files lay that it inherits, and
// where those lie that it names itself.
func TestRerunKeepsPaths(t *testing.T) {
	t.Parallel()
	file := func(digit string) events.Reference {
		return events.Reference{Store: "s", Key: "content/" + digit, SHA256: strings.Repeat(digit, 64)}
	}
	s := spec.Defaults()
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID, s.Inferencer.TestingDataID = "owner/model", "old.jsonl", "test.jsonl"
	old := OldRun{Run: events.Fold([]events.Fact{events.PipelineAccepted{
		RunID: "old", Specification: s, Plan: spec.Plan(s),
		Inputs: events.Inputs{
			Files: map[string]events.Reference{"fine_tuner.training_data_id": file("1"), "inferencer.testing_data_id": file("2")},
			Paths: map[string]string{"fine_tuner.training_data_id": "/old.jsonl", "inferencer.testing_data_id": "/test.jsonl", "predictions": "/gone"},
		},
	}})}
	resolved, _ := Rules{Store: "s"}.ResolveRerun(events.PipelineRequested{
		RerunOf: "old", Specification: json.RawMessage(`{"fine_tuner": {"training_data_id": "new.jsonl"}}`),
		Inputs: events.Inputs{
			Files: map[string]events.Reference{"fine_tuner.training_data_id": file("3")},
			Paths: map[string]string{"fine_tuner.training_data_id": "/new.jsonl"},
		},
	}, old)
	want := map[string]string{"fine_tuner.training_data_id": "/new.jsonl", "inferencer.testing_data_id": "/test.jsonl"}
	if got := resolved.Inputs.Paths; !maps.Equal(got, want) {
		t.Errorf("paths %v, want %v", got, want)
	}
	if old.Run.Accepted.Inputs.Paths["fine_tuner.training_data_id"] != "/old.jsonl" {
		t.Error("the fact of the old run was changed")
	}
}
