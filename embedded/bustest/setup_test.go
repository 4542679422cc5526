package bustest_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestNothingIsGoneForWhoComesLate: a service that starts an hour late, or a
// week, finds every request, fact and job: requests and facts have no age, they
// are refused rather than dropped where there is no room, and no consumer is
// taken away since nobody used it.
func TestNothingIsGoneForWhoComesLate(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	for _, name := range []string{events.StreamRequests, events.StreamFacts} {
		s, err := b.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		if c.MaxAge != 0 || c.MaxMsgs > 0 || c.Discard != jetstream.DiscardNew || c.Retention != jetstream.LimitsPolicy || c.Storage != jetstream.FileStorage {
			t.Errorf("%s lets messages go: %+v", name, c)
		}
		n := 0
		list := s.ListConsumers(t.Context())
		for i := range list.Info() {
			n++
			c := i.Config
			if c.Durable == "" || c.InactiveThreshold != 0 || c.DeliverPolicy != jetstream.DeliverAllPolicy || c.AckPolicy != jetstream.AckExplicitPolicy || c.MaxAckPending != -1 {
				t.Errorf("consumer %s of %s: %+v", i.Name, name, c)
			}
		}
		if err := list.Err(); err != nil || n == 0 {
			t.Errorf("%s has %d consumers (%v)", name, n, err)
		}
	}
}

// TestQueues: what waits, what is held, and whether anybody is there.
func TestQueues(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	at := func(p events.Phase, name string) topology.Queue {
		t.Helper()
		all, err := topology.NewInspector(b.bus).Queues(t.Context())
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
	if q := at(events.Inference, "openai"); q.Waiting != 0 || q.Unattended() {
		t.Errorf("an empty queue is %+v", q)
	}
	b.publish(t, job("r1"))
	if q := at(events.Finetune, "builtin"); q.Waiting != 1 || !q.Unattended() {
		t.Errorf("a queue that nobody takes jobs from is %+v", q)
	}
}
