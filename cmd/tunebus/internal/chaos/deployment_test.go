package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// ackWait is the ack wait of the consumers. The job of a killed worker is
// redelivered after that time.
const ackWait = 2 * time.Second

// queueWithoutWorkers is a queue of fine-tuning that no worker serves before
// [testDeployment.startForCancelledJobs].
const queueWithoutWorkers = "command"

// testDeployment is one or more NATS servers, services, and the folders that
// they share. Each program is a separate process.
type testDeployment struct {
	programs *processes.Programs
	dir      string
	store    string // address of the artifact store
	env      []string
	nodes    []*node // the NATS servers
	url      string  // addresses of all nodes
	nc       *nats.Conn
	js       jetstream.JetStream

	submitted       map[string]string // the kind of each submitted run by id
	submissions     int               // used for unique run ids
	startedServices map[string]bool   // programs that startServices has started
	// state collects the allowed conclusions of the submitted runs, and outages.
	state snapshot.State

	mu       sync.Mutex
	services []*processes.Process // running and ended
}

// deploymentOptions say what a test deployment consists of.
type deploymentOptions struct {
	programs *processes.Programs
	// name is the name of the folder, if the flag keep is set.
	name string
	// store is the address of the artifact store. Default: a folder.
	store string
	// nodes is the number of NATS servers, each of which has every stream.
	nodes int
	// env has further variables of all services.
	env []string
}

// newTestDeployment starts the NATS servers and creates the streams.
func newTestDeployment(t *testing.T, opts deploymentOptions) *testDeployment {
	t.Helper()
	dir := t.TempDir()
	if *keep != "" {
		dir = filepath.Join(*keep, opts.name)
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &testDeployment{
		programs:        opts.programs,
		dir:             dir,
		store:           opts.store,
		submitted:       map[string]string{},
		startedServices: map[string]bool{},
		state:           snapshot.State{Ends: map[string][]events.Conclusion{}},
	}
	if c.store == "" {
		c.store = "file://" + c.in("artifacts")
	}
	if err := os.MkdirAll(c.in("scratch"), 0o750); err != nil {
		t.Fatal(err)
	}
	c.nodes = newNodes(t, opts.nodes)
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.url)
	}
	c.url = strings.Join(urls, ",")
	c.env = []string{
		"TUNEBUS_BUS_URL=" + c.url,
		"TUNEBUS_ARTIFACTS_URL=" + c.store,
		"TUNEBUS_DATA_ROOTS=" + filepath.Join(processes.Root(), "configs", "quickstart"),
		"TUNEBUS_DATA_SCRATCH=" + c.in("scratch"),
		"TUNEBUS_DATA_HUB_ENDPOINT=http://127.0.0.1:1", // no server listens there
		"TUNEBUS_SERVICES_TRACKER_TRACKING_URI=file:" + c.in("mlruns"),
		"TUNEBUS_SERVICES_TRACKER_REPORTS=" + c.in("reports"),
		"TUNEBUS_LIMITS_MAX_CRASHES=0",
	}
	c.env = append(c.env, opts.env...)
	if *keep != "" {
		t.Cleanup(func() { c.writeLogs(t) })
	}
	for _, n := range c.nodes {
		c.startNode(t, n)
	}
	c.connect(t)
	c.createStreams(t)
	return c
}

// connect connects the observer, which reconnects by itself for ever.
func (c *testDeployment) connect(t *testing.T) {
	t.Helper()
	var err error
	c.nc, err = nats.Connect(c.url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true),
		nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.nc.Close)
	if c.js, err = jetstream.New(c.nc); err != nil {
		t.Fatal(err)
	}
}

// createStreams creates the streams. Nodes that have no leader yet refuse it.
func (c *testDeployment) createStreams(t *testing.T) {
	t.Helper()
	b, err := conn.Connect(t.Context(), conn.Options{URL: c.url, Name: "setup", Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	processes.Eventually(t, 2*time.Minute, "create the streams", func() error {
		for _, n := range c.nodes {
			if n.process().Ended() {
				t.Fatalf("%s ended by itself:\n%s", n.name, n.process().Log)
			}
		}
		return topology.Apply(t.Context(), b, topology.Topology{AckWait: ackWait, Replicas: len(c.nodes)})
	})
	if bucket, ok := strings.CutPrefix(c.store, "jetstream://"); ok {
		if err := objectstore.Create(t.Context(), b, bucket, 1<<30); err != nil {
			t.Fatal(err)
		}
	}
}

// in returns the path of a file or folder of the deployment.
func (c *testDeployment) in(name string) string { return filepath.Join(c.dir, name) }

// start starts a service. env has further variables of this process.
func (c *testDeployment) start(t *testing.T, program string, env ...string) *processes.Process {
	t.Helper()
	p := c.programs.Start(t, c.dir, program, append(append([]string(nil), c.env...), env...))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.services = append(c.services, p)
	return p
}

// startForCancelledJobs starts a worker for the queue that had none, once the
// deadlines have cancelled the runs of that queue. It settles their jobs.
func (c *testDeployment) startForCancelledJobs(t *testing.T) {
	t.Helper()
	c.waitUntilExpired(t)
	c.start(t, processes.Finetune, "TUNEBUS_SERVICES_FINETUNE_QUEUE="+queueWithoutWorkers, "TUNEBUS_SERVICES_FINETUNE_COMMAND=true") // which is never called
}

// waitUntilExpired waits until the deadlines of runs have cancelled them. The last
// of these may have been submitted a moment ago, or its deadline may have passed
// while no intake ran. A worker that finds its job before that takes it.
func (c *testDeployment) waitUntilExpired(t *testing.T) {
	t.Helper()
	processes.Eventually(t, 3*time.Minute, "the runs beyond their deadlines are cancelled", func() error {
		ended, err := c.factSubjects(t.Context(), events.TypePipelineCompleted+".*")
		if err != nil {
			return err
		}
		for id, kind := range c.submitted {
			if kind == expiring && !ended[events.PipelineCompleted{RunID: id}.Subject()] {
				return fmt.Errorf("run %s is open", id)
			}
		}
		return nil
	})
}

// allServices returns the processes of all services, including ended ones.
func (c *testDeployment) allServices() []*processes.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*processes.Process(nil), c.services...)
}

// writeLogs writes the log of each process to a folder.
func (c *testDeployment) writeLogs(t *testing.T) {
	folder := c.in("logs")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Error(err)
	}
	all := c.allServices()
	for _, n := range c.nodes {
		all = append(all, n.processes...)
	}
	for _, p := range all {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d.log", p.Name, p.PID())), []byte(p.Log.String()), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// waitUntilIdle waits until each request has a response, each run is tracked and
// each message is settled. Then it stops the services. After the limit it stops
// them too; the audit then finds the unfinished work.
func (c *testDeployment) waitUntilIdle(t *testing.T, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.checkIdle(ctx)
		if err == nil {
			break
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
			t.Errorf("not idle after %s: %v", limit, err)
		}
		break
	}
	for _, p := range c.allServices() {
		if !p.Ended() {
			p.Stop(t)
		}
	}
}

// checkIdle returns an error that names unfinished work, if there is any.
func (c *testDeployment) checkIdle(ctx context.Context) error {
	requests, err := c.countMessages(ctx, events.StreamRequests, ">")
	if err != nil {
		return err
	}
	accepted, err := c.factSubjects(ctx, events.TypePipelineAccepted+".*")
	if err != nil {
		return err
	}
	rejected, err := c.factSubjects(ctx, events.TypePipelineRejected+".*")
	if err != nil {
		return err
	}
	tracked, err := c.factSubjects(ctx, events.TypeTrackingCompleted+".*")
	if err != nil {
		return err
	}
	if requests != len(accepted)+len(rejected) || len(tracked) != len(accepted) {
		return fmt.Errorf("%d requests, %d accepted, %d rejected, %d tracked", requests, len(accepted), len(rejected), len(tracked))
	}
	for _, stream := range []string{events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamLogs, events.StreamDead} {
		s, err := c.js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		consumers := s.ListConsumers(ctx)
		for i := range consumers.Info() {
			if i.Config.Durable != "" && (i.NumPending > 0 || i.NumAckPending > 0) {
				return fmt.Errorf("%s of %s has %d messages waiting and %d unsettled", i.Name, stream, i.NumPending, i.NumAckPending)
			}
		}
		if err := consumers.Err(); err != nil {
			return err
		}
	}
	kv, err := c.js.KeyValue(ctx, topology.BucketLeases)
	if err != nil {
		return err
	}
	leases, err := kv.ListKeys(ctx)
	if err != nil {
		return err
	}
	for key := range leases.Keys() {
		if key != "run_index" { // which a tracker holds for as long as it runs
			return fmt.Errorf("lease %s is taken", key)
		}
	}
	return nil
}

// countMessages counts the messages of a stream whose subjects match a filter.
func (c *testDeployment) countMessages(ctx context.Context, stream, filter string) (int, error) {
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, messages := range info.State.Subjects {
		n += int(messages)
	}
	return n, nil
}

// factSubjects returns the subjects of the stored facts that match a filter.
func (c *testDeployment) factSubjects(ctx context.Context, filter string) (map[string]bool, error) {
	s, err := c.js.Stream(ctx, events.StreamFacts)
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for subject := range info.State.Subjects {
		out[subject] = true
	}
	return out, nil
}

// audit reads the state of an idle deployment and reports each fault.
func (c *testDeployment) audit(t *testing.T) snapshot.State {
	t.Helper()
	s := c.state
	read := snapshot.ReadArtifacts(c.in("artifacts"), &s)
	if bucket, ok := strings.CutPrefix(c.store, "jetstream://"); ok {
		read = snapshot.ReadObjects(t.Context(), c.url, bucket, &s)
	}
	err := errors.Join(read, snapshot.ReadStreams(t.Context(), c.url, &s), snapshot.ReadMLflow(c.in("mlruns"), &s),
		snapshot.ReadReports(c.in("reports"), &s), snapshot.ReadScratch(c.in("scratch"), &s), snapshot.ReadScratch(c.dir, &s))
	if err != nil {
		t.Fatal(err)
	}
	s.Left = append(s.Left, c.orphans()...)
	for _, f := range audit.Check(s) {
		t.Error(f)
	}
	return s
}

// orphans returns the processes, other than NATS, that still run in the folder
// of the deployment. Processes that only /proc shows are found on Linux alone.
func (c *testDeployment) orphans() []string {
	var out []string
	folders, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	isNode := func(pid string) bool {
		return slices.ContainsFunc(c.nodes, func(n *node) bool { return pid == fmt.Sprint(n.process().PID()) })
	}
	for _, f := range folders {
		cwd, err := os.Readlink(f)
		pid := filepath.Base(filepath.Dir(f))
		if err == nil && (cwd == c.dir || strings.HasPrefix(cwd, c.dir+"/")) && !isNode(pid) {
			out = append(out, "process "+pid)
		}
	}
	for _, p := range c.allServices() {
		if !p.Ended() {
			out = append(out, fmt.Sprintf("process %d of %s", p.PID(), p.Name))
		}
	}
	return out
}
