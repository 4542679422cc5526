package intake

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// FuzzRead: whatever bytes a client publishes, reading them ends with a
// request or an error; and a request without a fault holds a specification
// that reads the same again, with nothing in it to expand.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"specification": {"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data", "epochs": 3}, "inferencer": {"testing_data_id": "owner/data"}}}`,
		`{"run_id": "r", "specification": {"fine_tuner": {"base_model_id": "${HOME}"}}}`,
		`{"run_id": "a.b", "queues": {"cooking": "x"}, "from": "x", "labels": {"a": "${B}"}}`,
		`{"specification": {"pipeline": {"deadline": "soon", "max_tries": -1}, "evaluator": {"gates": {"rouge_l": "high"}, "metrics": [1, null, []]}}}`,
		`{"specification": {"fine_tuner": {"target_modules": {"q": 1}, "epochs": 1e400, "learning_rate": "NaN"}}}`,
		`{"specification": [], "inputs": {"files": {"../x": {}}}}`, `{"specification": null}`, `{"specification": "null"}`, `[]`, `{`, ``, "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		unknownKeys(data)
		ev, err := events.Decode(events.TypePipelineRequested, "", data)
		if err != nil {
			return
		}
		req := ev.(events.PipelineRequested)
		specification, faults := read(req, req.RunID)
		for _, fault := range faults {
			if fault.Message == "" {
				t.Errorf("a fault without a word: %+v", fault)
			}
		}
		if len(faults) > 0 {
			return
		}
		raw, err := json.Marshal(specification)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "${") {
			t.Errorf("accepted with something to expand: %s", raw)
		}
		again, more := spec.FromJSON(raw)
		if len(more) > 0 {
			t.Fatalf("faults at the second reading: %v", more)
		}
		if second, err := json.Marshal(again); err != nil || string(second) != string(raw) {
			t.Errorf("%s became %s (%v)", raw, second, err)
		}
	})
}
