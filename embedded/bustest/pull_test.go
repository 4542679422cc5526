package bustest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// takes counts the jobs that a receiver on a connection gets.
func takes(t *testing.T, b *bench, on *conn.Conn) <-chan string {
	t.Helper()
	taken := make(chan string, 8)
	b.receive(t, on, jobs(func(_ context.Context, d delivery.Delivery) error {
		taken <- d.Event.(events.PhaseRequested).RunID
		return nil
	}))
	return taken
}

func wantTaken(t *testing.T, taken <-chan string, run string) {
	t.Helper()
	select {
	case got := <-taken:
		if got != run {
			t.Errorf("took the job of %s, want %s", got, run)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("nobody takes the job of %s", run)
	}
}

// TestConsumerIsMadeAnew: whoever waits for messages of a consumer that is
// removed goes on with the one that is set up in its place.
func TestConsumerIsMadeAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	taken := takes(t, b, b.bus)
	b.publish(t, job("r1"))
	wantTaken(t, taken, "r1")
	eventually(t, "the ack", func() bool { n, w := b.pending(t); return n == 0 && w == 0 })
	// The server tells only an open request that its consumer is deleted.
	eventually(t, "the next request", func() bool {
		queues, err := topology.NewInspector(b.bus).Queues(t.Context())
		return err == nil && slices.ContainsFunc(queues, func(q topology.Queue) bool {
			return q.Phase == events.Finetune && q.Name == "builtin" && q.Idle > 0
		})
	})
	if err := b.js.DeleteConsumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the request is heard", func() bool { return b.log.has("Consumer Deleted") })
	if err := topology.Apply(t.Context(), b.bus, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	wantTaken(t, taken, "r1") // the new one begins at the start of the stream
	b.publish(t, job("r2"))
	wantTaken(t, taken, "r2")
}

// TestSilentServer: a server that does not answer any more, on a connection
// that looks well, is asked again; what it handed over into the void meanwhile
// comes again after the ack wait.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{AckWait: time.Second})
	proxy := bustest.NewProxy(t, b.server.URL())
	taken := takes(t, b, b.connect(t, proxy.URL))
	b.publish(t, job("r1"))
	wantTaken(t, taken, "r1")
	proxy.Mute()
	eventually(t, "the silence is noticed", func() bool { return b.log.has("no sign of a request") })
	b.publish(t, job("r2"))
	proxy.Cut()
	proxy.Mend()
	wantTaken(t, taken, "r2")
}
