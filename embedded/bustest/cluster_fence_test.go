package bustest_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// startCluster starts a cluster that is set up, and returns a connection to each node.
func startCluster(t *testing.T) ([]*conn.Conn, []*server.Server) {
	t.Helper()
	var conns []*conn.Conn
	servers := bustest.StartCluster(t)
	for _, s := range servers {
		c, err := conn.Connect(t.Context(), conn.Options{URL: s.ClientURL(), Name: "test", Wait: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		conns = append(conns, c)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := topology.Apply(t.Context(), conns[0], topology.Topology{Replicas: len(conns)})
		if err == nil {
			return conns, servers
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // the nodes have no leader yet
	}
}

// TestFenceOnCluster: of a completion and the claim of the next attempt that are
// published at the same moment, the stream never stores the completion behind the
// claim. The server checks conditions when it proposes a message, so a message that
// is on its way to the replicas has to count as well.
func TestFenceOnCluster(t *testing.T) {
	t.Parallel()
	conns, _ := startCluster(t)
	const runs = 150
	facts := []*journal.Journal{journal.New(conns[0]), journal.New(conns[1])}
	both, refused := 0, 0
	for i := range runs {
		run := fmt.Sprintf("r%d", i)
		started := func(n int) events.PhaseStarted {
			return events.PhaseStarted{RunID: run, Phase: events.Finetune, Attempt: n, Worker: "w"}
		}
		completed := events.PhaseCompleted{RunID: run, Phase: events.Finetune, Attempt: 1, Conclusion: events.Success}
		if _, err := facts[0].Publish(t.Context(), started(1), journal.FenceAbsent(completed.Subject())); err != nil {
			t.Fatal(err)
		}
		var claim, end error
		var all sync.WaitGroup
		all.Go(func() { _, claim = facts[0].Publish(t.Context(), started(2), journal.FenceAbsent(completed.Subject())) })
		all.Go(func() {
			_, end = facts[1].Publish(t.Context(), completed, journal.FenceAttempt(events.Finetune, run, 1))
		})
		all.Wait()
		for _, err := range []error{claim, end} {
			if err != nil && fenced(err) == nil {
				t.Fatal(err)
			}
			if err != nil {
				refused++
			}
		}
		if claim == nil && end == nil {
			both++
		}
	}
	if both > 0 || refused != runs {
		t.Errorf("of %d races %d stored both the completion and the claim of the next attempt; %d publishes were refused", runs, both, refused)
	}
	run, err := history.New(conns[2]).Run(t.Context(), "r0")
	if err != nil || len(run.Phases[events.Finetune].Attempts) == 0 {
		t.Errorf("%+v, %v", run, err)
	}
}
