package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// section is a section of a specification, by key.
type section = map[string]any

// The kinds of runs. The id of a run starts with its kind. Paths in a
// specification are relative to the data roots of the services.
const (
	// full runs all three phases.
	full = "full"
	// finetuneOnly stops after fine-tuning.
	finetuneOnly = "finetune-only"
	// skipFinetuning starts with inference on the base model.
	skipFinetuning = "skip-finetuning"
	// evaluateOnly evaluates predictions that the request refers to.
	evaluateOnly = "evaluate-only"
	// failing trains a model that the Hub cannot deliver. It fails after two
	// tries.
	failing = "failing"
	// expiring requests a queue without a worker. Its deadline cancels it.
	expiring = "expiring"
	// rerun repeats a run, starting with inference.
	rerun = "rerun"
	// invalid is a message that is not a request.
	invalid = "invalid"
)

// invalidRequest is the body of an invalid request.
const invalidRequest = "no request"

// specification returns the specification of a kind of run.
func specification(kind string) map[string]section {
	s := map[string]section{
		"fine_tuner": {
			"base_model_id": "base-model", "training_data_id": "validation.jsonl", "max_sequence_length": 48, "rank": 4,
			"target_modules": []string{"q_proj"}, "device_train_batch_size": 4, "grad_accumulation": 1, "epochs": 3, "warmup_steps": 1,
			"log_steps": 1, "save_steps": 2, "save_total_limit": 2,
		},
		"inferencer": {"testing_data_id": "validation.jsonl", "temperature": 0, "max_new_tokens": 2, "batch_size": 8, "max_sequence_length": 64},
		"evaluator":  {"metrics": []string{"rouge_score", "exact_match"}},
		"pipeline":   {"max_crashes": 1000, "backoff": "100ms"},
	}
	switch kind {
	case finetuneOnly:
		s["pipeline"]["stop_after_finetuning"] = true
	case skipFinetuning:
		s["pipeline"]["enable_finetuning"] = false
	case evaluateOnly:
		s["pipeline"]["enable_finetuning"], s["pipeline"]["enable_inference"] = false, false
	case failing:
		s["fine_tuner"]["base_model_id"] = "nobody/nothing"
		s["pipeline"]["stop_after_finetuning"] = true
		s["pipeline"]["max_tries"] = 2
	case expiring:
		s["fine_tuner"]["queue"] = queueWithoutWorkers
		s["pipeline"]["deadline"] = "1s"
	}
	return s
}

// conclusionsOf returns the allowed conclusions of a kind of run. None means
// success.
func conclusionsOf(kind string) []events.Conclusion {
	return map[string][]events.Conclusion{failing: {events.Failure}, expiring: {events.Cancelled}}[kind]
}

// submit requests a run, and stores its kind and its allowed conclusions.
func (c *testDeployment) submit(t *testing.T, id, kind string) {
	t.Helper()
	body := []byte(invalidRequest)
	if kind != invalid {
		req := events.PipelineRequested{RunID: id}
		if kind == evaluateOnly {
			req.Inputs.Predictions = c.putPredictions(t)
		}
		body = requestJSON(t, req, specification(kind))
		if ends := conclusionsOf(kind); len(ends) > 0 {
			c.state.Ends[id] = ends
		}
		c.submitted[id] = kind
	}
	if err := c.publishRequest(t.Context(), id, body); err != nil {
		t.Fatal(err)
	}
}

// publishRequest publishes a request, as any NATS client can. A request without
// a confirmation can be published again with the same id.
func (c *testDeployment) publishRequest(ctx context.Context, id string, body []byte) error {
	_, err := c.js.Publish(ctx, events.TypePipelineRequested, body, jetstream.WithMsgID(id))
	return err
}

// requestJSON returns a request with a specification as JSON.
func requestJSON(t *testing.T, req events.PipelineRequested, s map[string]section) []byte {
	t.Helper()
	var err error
	if req.Specification, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// putPredictions stores predictions that no run has made, as inputs of a run.
func (c *testDeployment) putPredictions(t *testing.T) *events.Reference {
	t.Helper()
	store, err := artifact.Open(t.Context(), c.store)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var rows strings.Builder
	for i := range 5 {
		fmt.Fprintf(&rows, `{"index":%d,"question":"q%[1]d","ground_truth":"a b c","answer":"a b %[1]d"}`+"\n", i)
	}
	ref, err := store.Put(t.Context(), "inputs/predictions.jsonl", "application/jsonl", strings.NewReader(rows.String()))
	if err != nil {
		t.Fatal(err)
	}
	return &ref
}
