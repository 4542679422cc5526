package intake

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

const specificationJSON = `{
  "fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data"},
  "inferencer": {"testing_data_id": "owner/data"}}`

type fakeQueues struct{ exist bool }

func (q fakeQueues) HasQueue(context.Context, events.Phase, string) (bool, error) {
	return q.exist, nil
}

func newAdmission(runs fakeRuns, usage float64) (*admission, *fakePublisher) {
	j := &fakePublisher{}
	log := slog.New(slog.DiscardHandler)
	return &admission{
		runs:       runs,
		streamRuns: runs,
		facts:      noFacts{},
		queues:     fakeQueues{exist: true},
		capacity:   &capacityGate{streams: &fakeUsage{usage: usage}, fullAt: 0.8, recheck: 30 * time.Second, log: log},
		publisher:  j,
		log:        log,
	}, j
}

func TestAdmissionPublishesAcceptedThenFollows(t *testing.T) {
	t.Parallel()
	a, j := newAdmission(fakeRuns{}, 0)
	req := events.PipelineRequested{RunID: "r", Specification: json.RawMessage(specificationJSON)}
	if err := a.handle(t.Context(), firstDelivery(req, time.Now())); err != nil {
		t.Fatal(err)
	}
	if len(j.published) != 1 || len(j.followed) != 1 {
		t.Fatalf("published %d, followed %d events", len(j.published), len(j.followed))
	}
	accepted, ok := j.published[0].(events.PipelineAccepted)
	if !ok {
		t.Fatalf("published %T", j.published[0])
	}
	if accepted.RunID != "r" {
		t.Errorf("run id %s", accepted.RunID)
	}
	if len(accepted.Plan) != 3 {
		t.Errorf("plan %+v", accepted.Plan)
	}
}

func TestAdmissionRejectsUnknownQueues(t *testing.T) {
	t.Parallel()
	a, j := newAdmission(fakeRuns{}, 0)
	a.queues = fakeQueues{exist: false}
	req := events.PipelineRequested{RunID: "r", Specification: json.RawMessage(specificationJSON)}
	if err := a.handle(t.Context(), firstDelivery(req, time.Now())); err != nil {
		t.Fatal(err)
	}
	if len(j.published) != 1 {
		t.Fatalf("published %d events", len(j.published))
	}
	rejected, ok := j.published[0].(events.PipelineRejected)
	if !ok {
		t.Fatalf("published %T", j.published[0])
	}
	if len(rejected.Faults) != 3 {
		t.Errorf("faults %+v", rejected.Faults)
	}
}

// TestAdmissionOfOwnRun: the run of an earlier delivery is continued, also if
// the stream is full by now.
func TestAdmissionOfOwnRun(t *testing.T) {
	t.Parallel()
	run := queuedRun("r")
	run.Accepted.Lineage.RequestSequence = 1
	a, j := newAdmission(fakeRuns{"r": run}, 1)
	if err := a.handle(t.Context(), firstDelivery(events.PipelineRequested{RunID: "r"}, time.Now())); err != nil {
		t.Fatal(err)
	}
	if len(j.published) != 0 {
		t.Errorf("published %+v", j.published)
	}
	if len(j.followed) != 1 {
		t.Errorf("followed %+v", j.followed)
	}
}

func TestAdmissionWaitsWhileStreamIsFull(t *testing.T) {
	t.Parallel()
	a, j := newAdmission(fakeRuns{}, 0.9)
	err := a.handle(t.Context(), firstDelivery(events.PipelineRequested{RunID: "r"}, time.Now()))
	wantRetry(t, err, 30*time.Second, 30*time.Second)
	if len(j.published) != 0 {
		t.Errorf("published %+v", j.published)
	}
}

func TestUndecodableRequestIsRejectedAndDeadLettered(t *testing.T) {
	t.Parallel()
	a, j := newAdmission(fakeRuns{}, 0)
	err := a.handleUndecodable(t.Context(), delivery.Delivery{}, errors.New("no JSON"))
	if _, dead := errors.AsType[*delivery.DeadLetterError](err); !dead {
		t.Errorf("got %v, want a dead letter", err)
	}
	if len(j.published) != 1 {
		t.Fatalf("published %+v", j.published)
	}
	if rejected := j.published[0].(events.PipelineRejected); rejected.Faults[0].Key != "request" {
		t.Errorf("faults %+v", rejected.Faults)
	}
}

// TestUndecodableRequestKeepsItsID: a request that is rejected because one field of it cannot be
// read is listed by the id, the name and the labels that it has.
func TestUndecodableRequestKeepsItsID(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]events.PipelineRejected{
		`{"run_id":"ok2","labels":["a"],"run_name":"nightly","specification":{}}`: {RunID: "ok2", RunName: "nightly"},
		`{"run_id":"ok3","labels":{"team":"a"},"specificaton":{}}`:                {RunID: "ok3", Labels: map[string]string{"team": "a"}},
	} {
		a, j := newAdmission(fakeRuns{}, 0)
		_ = a.handleUndecodable(t.Context(), delivery.Delivery{Data: []byte(body)}, errors.New("labels is a list"))
		rejected := j.published[0].(events.PipelineRejected)
		if rejected.RunID != want.RunID || rejected.RunName != want.RunName || !maps.Equal(rejected.Labels, want.Labels) {
			t.Errorf("%s is rejected as %+v", body, rejected)
		}
	}
	for _, body := range []string{`{"run_id":7}`, `{"run_id":"a b"}`, `[`} {
		a, j := newAdmission(fakeRuns{}, 0)
		_ = a.handleUndecodable(t.Context(), delivery.Delivery{Data: []byte(body)}, errors.New("no"))
		if got := j.published[0].(events.PipelineRejected).RunID; len(got) != 26 {
			t.Errorf("%s is rejected as %q, want a generated id", body, got)
		}
	}
}
