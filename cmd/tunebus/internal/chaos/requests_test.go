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

type section = map[string]any

// The kinds of runs. Paths start at the services' data roots.
const (
	// train learns and stops, full does all three phases.
	train = "train"
	full  = "full"
	// answer lets the base model answer.
	answer = "answer"
	// score scores answers that it was given.
	score = "score"
	// broken learns from a model that is not to be had now, tries again, and
	// fails in the end.
	broken = "broken"
	// queued waits in a queue of which nobody takes until its deadline.
	queued = "queued"
	// again repeats a run from its inference on.
	again = "again"
	// garbage is no request at all.
	garbage = "garbage"
)

// specification is that of a kind of run.
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
	case train:
		s["pipeline"]["stop_after_finetuning"] = true
	case answer:
		s["pipeline"]["enable_finetuning"] = false
	case score:
		s["pipeline"]["enable_finetuning"], s["pipeline"]["enable_inference"] = false, false
	case broken:
		s["fine_tuner"]["base_model_id"] = "nobody/nothing"
		s["pipeline"]["stop_after_finetuning"] = true
		s["pipeline"]["max_tries"] = 2
	case queued:
		s["fine_tuner"]["queue"] = "trl"
		s["pipeline"]["deadline"] = "1s"
	}
	return s
}

// endsOf are the conclusions that a run of a kind may have, if not success.
func endsOf(kind string) []events.Conclusion {
	return map[string][]events.Conclusion{broken: {events.Failure}, queued: {events.Cancelled}}[kind]
}

// ask asks for a run, and notes how it may end.
func (c *town) ask(t *testing.T, id, kind string) {
	t.Helper()
	body := []byte("no request")
	if kind != garbage {
		req := events.PipelineRequested{RunID: id}
		if kind == score {
			req.Inputs.Predictions = c.predictions(t)
		}
		body = request(t, req, specification(kind))
		if ends := endsOf(kind); len(ends) > 0 {
			c.state.Ends[id] = ends
		}
		c.asked[id] = kind
	}
	if err := c.send(t.Context(), id, body); err != nil {
		t.Fatal(err)
	}
}

// send publishes a request, as any NATS client can. One that was not
// confirmed may be sent again under its id.
func (c *town) send(ctx context.Context, id string, body []byte) error {
	_, err := c.js.Publish(ctx, events.TypePipelineRequested, body, jetstream.WithMsgID(id))
	return err
}

// request is the JSON of a request.
func request(t *testing.T, req events.PipelineRequested, s map[string]section) []byte {
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

// predictions are answers of somebody else.
func (c *town) predictions(t *testing.T) *events.Reference {
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
