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

// receivedJobs gets the run of each job that a router on the connection
// delivers.
func receivedJobs(t *testing.T, s *testServer, c *conn.Conn) <-chan string {
	t.Helper()
	runs := make(chan string, 8)
	s.runRouter(t, c, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		runs <- d.Event.(events.PhaseRequested).RunID
		return nil
	}))
	return runs
}

func wantJob(t *testing.T, runs <-chan string, run string) {
	t.Helper()
	select {
	case got := <-runs:
		if got != run {
			t.Errorf("got the job of %s, want %s", got, run)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the job of %s was not delivered", run)
	}
}

// TestPullAfterConsumerIsRecreated: a router whose consumer is removed goes on with
// the consumer that is created in its place.
func TestPullAfterConsumerIsRecreated(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	jobs := receivedJobs(t, s, s.conn)
	s.publish(t, job("r1"))
	wantJob(t, jobs, "r1")
	s.waitForSettled(t)
	// The server reports the end only to an open request.
	eventually(t, "the next request", func() bool {
		queues, err := topology.NewInspector(s.conn).Queues(t.Context())
		return err == nil && slices.ContainsFunc(queues, func(q topology.Queue) bool {
			return q.Phase == events.Finetune && q.Name == "builtin" && q.Idle > 0
		})
	})
	if err := s.js.DeleteConsumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pull request ends", func() bool { return s.log.contains("Consumer Deleted") })
	if err := topology.Apply(t.Context(), s.conn, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	wantJob(t, jobs, "r1") // the new consumer starts at the begin of the stream
	s.publish(t, job("r2"))
	wantJob(t, jobs, "r2")
}

// TestPullWithoutHeartbeats: if no heartbeat arrives on a connection that is up,
// the router sends a new pull request. A message that was delivered to the old one
// meanwhile is delivered again after the ack wait.
func TestPullWithoutHeartbeats(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{AckWait: time.Second})
	proxy := bustest.NewProxy(t, s.server.URL())
	jobs := receivedJobs(t, s, s.connect(t, proxy.URL))
	s.publish(t, job("r1"))
	wantJob(t, jobs, "r1")
	proxy.DropReplies()
	eventually(t, "the missing heartbeats are noticed", func() bool { return s.log.contains("no sign of a request") })
	s.publish(t, job("r2"))
	proxy.Cut()
	proxy.Restore()
	wantJob(t, jobs, "r2")
}
