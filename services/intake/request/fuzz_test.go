package request

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// FuzzRequest: any bytes are a request or an error. The specification of a
// request without faults is the same after encoding and reading it again, and
// has no variable to expand.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"specification": {"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data", "epochs": 3}, "inferencer": {"testing_data_id": "owner/data"}}}`,
		`{"run_id": "r", "specification": {"fine_tuner": {"base_model_id": "${HOME}"}}}`,
		`{"run_id": "a.b", "queues": {"cooking": "x"}, "from": "x", "labels": {"a": "${B}"}}`,
		`{"specification": {"pipeline": {"deadline": "soon", "max_tries": -1}, "evaluator": {"gates": {"rouge_l": "high"}, "metrics": [1, null, []]}}}`,
		`{"specification": {"fine_tuner": {"target_modules": {"q": 1}, "epochs": 1e400, "learning_rate": "NaN"}}}`,
		`{"rerun_of": "old", "from": "inference", "specification": {"fine_tuner": {"epochs": 9}, "pipeline": {"enable_finetuning": false}}}`,
		`{"rerun_of": "old", "queues": {"finetune": "big"}, "inputs": {"files": {"inferencer.testing_data_id": {"sha256": "x"}}}}`,
		`{"specification": [], "inputs": {"files": {"../x": {}}}}`, `{"specification": null}`, `{"specification": "null"}`, `[]`, `{`, ``, "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		UnknownKeys(data)
		ev, err := events.Decode(events.TypePipelineRequested, "", data)
		if err != nil {
			return
		}
		req := ev.(events.PipelineRequested)
		specification, _, faults := readSpecification(req, spec.Defaults())
		faults = append(faults, Check(req, req.RunID)...)
		checkAsRerun(t, req)
		for _, fault := range faults {
			if fault.Message == "" {
				t.Errorf("a fault without a message: %+v", fault)
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
			t.Errorf("accepted with a variable to expand: %s", raw)
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

// checkAsRerun resolves the request as one that repeats an older run: the inputs
// of the new run are those of the old run or of the request.
func checkAsRerun(t *testing.T, req events.PipelineRequested) {
	result := events.Reference{Key: "result"}
	old := events.Fold([]events.Fact{
		events.PipelineAccepted{RunID: "old", Specification: spec.Defaults(), Plan: spec.Plan(spec.Defaults())},
		events.PhaseCompleted{RunID: "old", Phase: events.Finetune, Conclusion: events.Success, Artifacts: []events.Artifact{{Name: events.ArtifactModel, Reference: result}}},
	})
	specification, full, _ := readSpecification(req, old.Accepted.Specification)
	r := newRerun(old, req, specification, full)
	for _, fault := range r.faults() {
		if fault.Key == "" || fault.Message == "" {
			t.Errorf("a fault without a message: %+v", fault)
		}
	}
	in := r.inputs(req.Inputs)
	if in.Model != nil && *in.Model != result && in.Model != req.Inputs.Model {
		t.Errorf("a model of neither: %+v", in.Model)
	}
	if plan := stepsFrom(full, r.from); len(plan) > 0 && plan[0].Phase != r.from {
		t.Errorf("it is to start from %s and starts from %s", r.from, plan[0].Phase)
	}
}
