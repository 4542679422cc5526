package bustest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestDoorbellIsNotDecoded: what shows by its envelope that it is a current
// event only rings; whatever else comes is decoded, and buried if that fails.
func TestDoorbellIsNotDecoded(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	heard := make(chan delivery.Delivery, 8)
	b.receive(t, b.bus, delivery.Route{
		Name: "doorbell", Stream: events.StreamFacts, Consumer: topology.ConsumerTracker, Idempotent: true, SubjectOnly: true,
		Handle: func(_ context.Context, d delivery.Delivery) error {
			heard <- d
			return nil
		},
	})
	own := b.publish(t, events.PhaseStarted{RunID: "r1", Phase: events.Finetune, Attempt: 1})
	if d := <-heard; d.Event != nil || d.Subject != own.Subject || d.ID != own.ID || d.Sequence != own.Sequence {
		t.Errorf("an event of this program: %+v", d)
	}
	foreign := `{"id":"x","source":"elsewhere","specversion":"1.0","type":"finetune.attempt_ended","datacontenttype":"application/json",` +
		`"data":{"run_id":"r1","phase":"finetune","attempt":1,"reason":"shutdown"}}`
	b.raw(t, "finetune.attempt_ended.r1.1", foreign, nats.Header{"Content-Type": {"application/cloudevents+json"}})
	if d := <-heard; d.Event == nil || d.ID != "x" {
		t.Errorf("an event of another program: %+v", d)
	}
	b.raw(t, events.PipelineCompleted{RunID: "r1"}.Subject(), "junk", nil)
	if l := b.letters(t, 1)[0]; l.Consumer != topology.ConsumerTracker || string(l.Body) != "junk" {
		t.Errorf("letter %+v", l)
	}
}

// TestJobRun: what a job repeats of its run is not read; what it leaves out is.
func TestJobRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	accepted := events.PipelineAccepted{
		RunID: "r1", RequestedAt: time.Now().UTC(), Labels: map[string]string{"team": "x"},
		Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}},
	}
	b.publish(t, accepted)
	next, err := events.Next(accepted, events.Run{})
	if err != nil {
		t.Fatal(err)
	}
	job := next.(events.PhaseRequested)
	run, err := history.New(b.bus).RunForJob(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if a := run.Accepted; run.ID != "r1" || a == nil || !a.RequestedAt.Equal(accepted.RequestedAt) || len(a.Plan) != 1 || a.Labels != nil {
		t.Errorf("told by the job: %+v of run %q", a, run.ID)
	}
	b.publish(t, events.CancelRequested{RunID: "r1", By: "somebody"})
	b.publish(t, events.PhaseStarted{RunID: "r1", Phase: events.Finetune, Attempt: 1})
	b.publish(t, events.PhaseStarted{RunID: "r1", Phase: events.Inference, Attempt: 1})
	job.RequestedAt = time.Time{} // as an older program writes it
	if run, err = history.New(b.bus).RunForJob(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if a := run.Accepted; a == nil || a.Labels["team"] != "x" {
		t.Errorf("read: %+v", a)
	}
	if run.Cancel == nil || run.Phases[events.Finetune].NextAttempt() != 2 || run.Phases[events.Inference] != nil {
		t.Errorf("cancel %+v, phases %+v", run.Cancel, run.Phases)
	}
}
