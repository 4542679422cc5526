package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// node is a NATS server. Its processes follow each other with the same ports and
// the same data folder.
type node struct {
	name    string
	url     string
	monitor string   // address of the monitoring endpoint
	args    []string // of the program
	// processes are the processes in the order of their starts. All but the last
	// have ended.
	processes []*processes.Process
}

// process returns the newest process of the node.
func (n *node) process() *processes.Process { return n.processes[len(n.processes)-1] }

// newNodes returns nodes that are not started. Several nodes are a cluster. The
// clients of a cluster know only the addresses that they are started with, so
// that no connection goes around a proxy.
func newNodes(t *testing.T, count int) []*node {
	t.Helper()
	var nodes []*node
	var routes []string
	for i := range count {
		port, monitorPort, routePort := processes.FreePort(t), processes.FreePort(t), processes.FreePort(t)
		n := &node{
			name:    fmt.Sprintf("nats-%d", i+1),
			url:     fmt.Sprintf("nats://127.0.0.1:%d", port),
			monitor: fmt.Sprintf("127.0.0.1:%d", monitorPort),
		}
		n.args = []string{
			"-c", filepath.Join(processes.Root(), "deploy", "nats", "nats.conf"),
			"-a", "127.0.0.1", "-p", strconv.Itoa(port), "-m", strconv.Itoa(monitorPort), "-n", n.name,
		}
		route := fmt.Sprintf("nats://127.0.0.1:%d", routePort)
		if count > 1 {
			n.args = append(n.args, "--cluster_name", "tunebus", "--cluster", route, "--no_advertise")
		}
		routes = append(routes, route)
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		if count > 1 {
			n.args = append(n.args, "--routes", strings.Join(routes, ","))
		}
	}
	return nodes
}

// startNode starts a node, which syncs every write.
func (c *testDeployment) startNode(t *testing.T, n *node) *processes.Process {
	t.Helper()
	folder := "nats"
	if len(c.nodes) > 1 {
		folder = n.name
	}
	p := c.programs.Start(t, c.dir, processes.NATS, nil, append(n.args, "-sd", c.in(folder))...)
	n.processes = append(n.processes, p)
	return p
}

// streamNames are the streams of the topology, those of its buckets included.
func streamNames() []string {
	return []string{
		events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamLogs, events.StreamDead,
		"KV_" + topology.BucketCheckpoints, "KV_" + topology.BucketRuns, "KV_" + topology.BucketLeases,
	}
}

// checkNodes returns an error unless each stream has a leader, and with all of
// its copies up to date if current is set.
func (c *testDeployment) checkNodes(ctx context.Context, current bool) error {
	for _, name := range streamNames() {
		s, err := c.js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
		cluster := s.CachedInfo().Cluster
		if cluster == nil || cluster.Leader == "" {
			return fmt.Errorf("stream %s has no leader", name)
		}
		for _, r := range cluster.Replicas {
			if current && (!r.Current || r.Lag > 0) {
				return fmt.Errorf("the copy of stream %s on %s is %d operations behind", name, r.Name, r.Lag)
			}
		}
	}
	return nil
}

// leadership is what the nodes lead, by the name of the node.
type leadership map[string][]led

// led is a stream or a durable consumer.
type led struct {
	stream, consumer string // no consumer: the stream itself
	unsettled        int    // messages that the consumer has delivered
}

func (l led) String() string {
	if l.consumer == "" {
		return l.stream
	}
	return fmt.Sprintf("%s with %d unsettled", l.consumer, l.unsettled)
}

// holdsWork reports whether a run waits as long as this has no leader: the
// stream of facts, and consumers with unsettled messages.
func (l led) holdsWork() bool {
	return l.stream == events.StreamFacts && l.consumer == "" || l.unsettled > 0
}

// leaders returns what each node leads of requests, facts and their consumers.
// What does not answer in time is left out.
func (c *testDeployment) leaders(ctx context.Context) leadership {
	out := leadership{}
	add := func(cluster *jetstream.ClusterInfo, what led) {
		if cluster != nil && cluster.Leader != "" {
			out[cluster.Leader] = append(out[cluster.Leader], what)
		}
	}
	for _, name := range []string{events.StreamFacts, events.StreamRequests} {
		s, err := c.js.Stream(ctx, name)
		if err != nil {
			continue
		}
		add(s.CachedInfo().Cluster, led{stream: name})
		for i := range s.ListConsumers(ctx).Info() {
			if i.Config.Durable != "" {
				add(i.Cluster, led{name, i.Name, i.NumAckPending})
			}
		}
	}
	return out
}

// stepDown has the leader of a stream or a consumer hand over to another node.
func (c *testDeployment) stepDown(ctx context.Context, what led) error {
	subject := "$JS.API.STREAM.LEADER.STEPDOWN." + what.stream
	if what.consumer != "" {
		subject = "$JS.API.CONSUMER.LEADER.STEPDOWN." + what.stream + "." + what.consumer
	}
	reply, err := c.nc.RequestWithContext(ctx, subject, nil)
	if err != nil {
		return err
	}
	if strings.Contains(string(reply.Data), `"error"`) {
		return errors.New(string(reply.Data))
	}
	return nil
}
