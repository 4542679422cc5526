package bustest_test

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
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

// startCluster starts three nodes with JetStream in this process, and returns a
// connection to each.
func startCluster(t *testing.T) ([]*conn.Conn, []*server.Server) {
	t.Helper()
	const nodes = 3
	var routes []*url.URL
	var ports []int
	for range nodes { // a node has to know the routes of all of them
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().(*net.TCPAddr)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		ports = append(ports, address.Port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: address.String()})
	}
	var servers []*server.Server
	for i, port := range ports {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("node-%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(t.TempDir(), "store"), Routes: routes,
			JetStreamMaxStore: bustest.MaxStore,
			Cluster:           server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() {
			s.Shutdown()
			s.WaitForShutdown()
		})
		servers = append(servers, s)
	}
	for _, s := range servers {
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("a node did not start")
		}
	}
	var conns []*conn.Conn
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
		err := topology.Apply(t.Context(), conns[0], topology.Topology{Replicas: nodes})
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
