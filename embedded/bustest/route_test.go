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

// TestRouteSubjectOnlySkipsDecoding: a message whose envelope is a current event's
// is delivered without its event. Every other message is decoded, and becomes a
// dead letter if that fails.
func TestRouteSubjectOnlySkipsDecoding(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	delivered := make(chan delivery.Delivery, 8)
	s.runRouter(t, s.conn, delivery.Route{
		Name: "wake-up", Stream: events.StreamFacts, Consumer: topology.ConsumerTracker, Idempotent: true, SubjectOnly: true,
		Handle: func(_ context.Context, d delivery.Delivery) error {
			delivered <- d
			return nil
		},
	})
	own := s.publish(t, events.PhaseStarted{RunID: "r1", Phase: events.Finetune, Attempt: 1})
	d := <-delivered
	if d.Event != nil {
		t.Errorf("the event was decoded: %+v", d.Event)
	}
	wantEqual(t, "the subject", d.Subject, own.Subject)
	wantEqual(t, "the id", d.ID, own.ID)
	wantEqual(t, "the sequence", d.Sequence, own.Sequence)
	foreign := `{"id":"x","source":"elsewhere","specversion":"1.0","type":"finetune.attempt_ended","datacontenttype":"application/json",` +
		`"data":{"run_id":"r1","phase":"finetune","attempt":1,"reason":"shutdown"}}`
	s.publishRaw(t, "finetune.attempt_ended.r1.1", foreign, nats.Header{"Content-Type": {"application/cloudevents+json"}})
	if d := <-delivered; d.Event == nil || d.ID != "x" {
		t.Errorf("an event of another program: %+v", d)
	}
	s.publishRaw(t, events.PipelineCompleted{RunID: "r1"}.Subject(), "junk", nil)
	l := s.waitForDeadLetters(t, 1)[0]
	wantEqual(t, "the consumer of the dead letter", l.Consumer, topology.ConsumerTracker)
	wantEqual(t, "the body of the dead letter", string(l.Body), "junk")
}

// TestRouteHoldUnknownVersion: an event of an unknown version is NAKed until a newer
// service takes it, which is logged, and does not block other events. It becomes a
// dead letter after the route's time.
func TestRouteHoldUnknownVersion(t *testing.T) {
	t.Parallel()
	newer := `{"specversion":"1.0","id":"x","source":"test","type":"finetune.requested","datacontenttype":"application/json",` +
		`"dataschema":"https://tunebus.dev/schemas/finetune.requested.v99.json","data":{"run_id":"r1","phase":"finetune","queue":"builtin"}}`
	header := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	for name, limit := range map[string]time.Duration{"within the time": time.Hour, "after the time": time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, topology.Topology{})
			seen := make(chan string, 1)
			route := jobRoute(func(_ context.Context, d delivery.Delivery) error {
				seen <- d.Event.(events.PhaseRequested).RunID
				return nil
			})
			route.HoldUnknownVersion = limit
			seq := s.publishRaw(t, job("r1").Subject(), newer, header)
			s.publish(t, job("r2"))
			s.runRouter(t, s.conn, route)
			if run := <-seen; run != "r2" {
				t.Errorf("handled %s", run)
			}
			deadLettered := func() bool {
				dead, err := s.js.Stream(t.Context(), events.StreamDead)
				if err != nil {
					t.Fatal(err)
				}
				_, err = dead.GetLastMsgForSubject(t.Context(), fmt.Sprintf("dead.%s.%d", events.StreamFacts, seq))
				return err == nil
			}
			if name == "after the time" {
				eventually(t, "the dead letter", deadLettered)
				return
			}
			eventually(t, "the delay is logged", func() bool { return s.log.contains("a newer service may know it") })
			eventually(t, "the message waits", func() bool { u, _ := s.pending(t); return u == 1 })
			if deadLettered() {
				t.Error("it is a dead letter already")
			}
		})
	}
}
