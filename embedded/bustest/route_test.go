package bustest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
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

// TestNewerVersionIsGivenBack: it waits for a service that knows it, says so,
// holds nobody up, and becomes a dead letter only after its time.
func TestNewerVersionIsGivenBack(t *testing.T) {
	t.Parallel()
	newer := `{"specversion":"1.0","id":"x","source":"test","type":"finetune.requested","datacontenttype":"application/json",` +
		`"dataschema":"https://tunebus.dev/schemas/finetune.requested.v99.json","data":{"run_id":"r1","phase":"finetune","queue":"builtin"}}`
	header := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	for name, limit := range map[string]time.Duration{"young": time.Hour, "old": time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{})
			seen := make(chan string, 1)
			route := jobs(func(_ context.Context, d delivery.Delivery) error {
				seen <- d.Event.(events.PhaseRequested).RunID
				return nil
			})
			route.HoldUnknownVersion = limit
			seq := b.raw(t, job("r1").Subject(), newer, header)
			b.publish(t, job("r2"))
			b.receive(t, b.bus, route)
			if run := <-seen; run != "r2" {
				t.Errorf("handled %s", run)
			}
			buried := func() bool {
				dead, err := b.js.Stream(t.Context(), events.StreamDead)
				if err != nil {
					t.Fatal(err)
				}
				_, err = dead.GetLastMsgForSubject(t.Context(), fmt.Sprintf("dead.%s.%d", events.StreamFacts, seq))
				return err == nil
			}
			if name == "old" {
				eventually(t, "the dead letter", buried)
				return
			}
			eventually(t, "a word in the log", func() bool { return b.log.has("a newer service may know it") })
			eventually(t, "one message waits", func() bool { u, _ := b.pending(t); return u == 1 })
			if buried() {
				t.Error("it is a dead letter already")
			}
		})
	}
}
