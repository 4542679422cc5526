package bustest_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestTopologyKeepsUnreadMessages: a service that starts an hour or a week late
// finds every request, fact and job. Requests and facts have no maximum age, a
// full stream refuses new messages instead of dropping old ones, and the server
// removes no consumer for being unused.
func TestTopologyKeepsUnreadMessages(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	for _, name := range []string{events.StreamRequests, events.StreamFacts} {
		stream, err := s.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := stream.CachedInfo().Config
		wantEqual(t, name+": maximum age", c.MaxAge, 0)
		if c.MaxMsgs > 0 {
			t.Errorf("%s: at most %d messages", name, c.MaxMsgs)
		}
		wantEqual(t, name+": discard policy", c.Discard, jetstream.DiscardNew)
		wantEqual(t, name+": retention", c.Retention, jetstream.LimitsPolicy)
		wantEqual(t, name+": storage", c.Storage, jetstream.FileStorage)
		n := 0
		list := stream.ListConsumers(t.Context())
		for i := range list.Info() {
			n++
			c, consumer := i.Config, name+" "+i.Name
			if c.Durable == "" {
				t.Errorf("%s is not durable", consumer)
			}
			wantEqual(t, consumer+": inactive threshold", c.InactiveThreshold, 0)
			wantEqual(t, consumer+": deliver policy", c.DeliverPolicy, jetstream.DeliverAllPolicy)
			wantEqual(t, consumer+": ack policy", c.AckPolicy, jetstream.AckExplicitPolicy)
			wantEqual(t, consumer+": max ack pending", c.MaxAckPending, -1)
		}
		if err := list.Err(); err != nil || n == 0 {
			t.Errorf("%s has %d consumers (%v)", name, n, err)
		}
	}
}

// TestInspectorQueues: the number of waiting jobs, and whether a worker asks for
// them.
func TestInspectorQueues(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	queue := func(p events.Phase, name string) topology.Queue {
		t.Helper()
		all, err := topology.NewInspector(s.conn).Queues(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range all {
			if q.Phase == p && q.Name == name {
				return q
			}
		}
		t.Fatalf("no queue %s of %s among %v", name, p, all)
		return topology.Queue{}
	}
	if q := queue(events.Inference, "openai"); q.Waiting != 0 || q.Unattended() {
		t.Errorf("an empty queue is %+v", q)
	}
	s.publish(t, job("r1"))
	// The server counts a message for its consumers just after it has stored it.
	eventually(t, "one job waits without a worker", func() bool {
		q := queue(events.Finetune, "builtin")
		return q.Waiting == 1 && q.Unattended()
	})
}

// TestEmbeddedMaxPayload: the embedded server takes messages of the size that
// tunebus needs.
func TestEmbeddedMaxPayload(t *testing.T) {
	t.Parallel()
	if limit, err := topology.CheckPayload(t.Context(), bustest.Connect(t, bustest.Start(t, embedded.Options{}))); err != nil || limit < events.MinServerPayload {
		t.Errorf("max_payload %d, %v", limit, err)
	}
}
