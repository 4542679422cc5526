package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// ackWait is how long the job of a dead worker waits here.
const ackWait = 2 * time.Second

// town is a NATS server, services and the folders that they share.
type town struct {
	programs *processes.Programs
	dir, url string
	monitor  string // address of the server's own reports
	store    string // address of the artifact store
	env      []string
	nats     *processes.Process
	js       jetstream.JetStream
	asked    map[string]string // the kind of each run, by its id
	fed      int
	staffed  map[string]bool
	state    snapshot.State // of which Ends are noted as runs are asked for

	mu    sync.Mutex
	procs []*processes.Process // all that ever were, but NATS
}

// found starts a server and sets it up. store is the address of the artifact
// store; empty: a folder.
func found(t *testing.T, programs *processes.Programs, name, store string) *town {
	t.Helper()
	dir := t.TempDir()
	if *keep != "" {
		dir = filepath.Join(*keep, name)
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &town{programs: programs, dir: dir, store: store, asked: map[string]string{}, staffed: map[string]bool{}, state: snapshot.State{Ends: map[string][]events.Conclusion{}}}
	if store == "" {
		c.store = "file://" + c.in("artifacts")
	}
	if err := os.MkdirAll(c.in("scratch"), 0o750); err != nil {
		t.Fatal(err)
	}
	c.url = fmt.Sprintf("nats://127.0.0.1:%d", processes.FreePort(t))
	c.monitor = fmt.Sprintf("127.0.0.1:%d", processes.FreePort(t))
	c.env = []string{
		"TUNEBUS_BUS_URL=" + c.url,
		"TUNEBUS_ARTIFACTS_URL=" + c.store,
		"TUNEBUS_DATA_ROOTS=" + filepath.Join(processes.Root(), "configs", "quickstart"),
		"TUNEBUS_DATA_SCRATCH=" + c.in("scratch"),
		"TUNEBUS_DATA_HUB_ENDPOINT=http://127.0.0.1:1", // where nobody answers
		"TUNEBUS_SERVICES_TRACKER_TRACKING_URI=file:" + c.in("mlruns"),
		"TUNEBUS_SERVICES_TRACKER_REPORTS=" + c.in("reports"),
		"TUNEBUS_LIMITS_MAX_CRASHES=0",
	}
	if *keep != "" {
		t.Cleanup(func() { c.writeLogs(t) })
	}
	c.startNATS(t)
	nc, err := nats.Connect(c.url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if c.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	b, err := conn.Connect(t.Context(), conn.Options{URL: c.url, Name: "setup", Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := topology.Apply(t.Context(), b, topology.Topology{AckWait: ackWait}); err != nil {
		t.Fatal(err)
	}
	if bucket, ok := strings.CutPrefix(c.store, "jetstream://"); ok {
		if err := objectstore.Create(t.Context(), b, bucket, 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *town) in(name string) string { return filepath.Join(c.dir, name) }

// startNATS starts the server, which syncs every write, on the folder that it
// had before.
func (c *town) startNATS(t *testing.T) {
	t.Helper()
	conf := filepath.Join(processes.Root(), "deploy", "nats", "nats.conf")
	_, port, _ := strings.Cut(strings.TrimPrefix(c.url, "nats://"), ":")
	_, reports, _ := strings.Cut(c.monitor, ":")
	c.nats = c.programs.Start(t, c.dir, processes.NATS, nil,
		"-c", conf, "-a", "127.0.0.1", "-p", port, "-m", reports, "-sd", c.in("nats"))
}

// start starts a service. more are variables of its own.
func (c *town) start(t *testing.T, program string, more ...string) *processes.Process {
	t.Helper()
	p := c.programs.Start(t, c.dir, program, append(append([]string(nil), c.env...), more...))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.procs = append(c.procs, p)
	return p
}

// all are the services that ever were.
func (c *town) all() []*processes.Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*processes.Process(nil), c.procs...)
}

// writeLogs writes what every process wrote to a folder.
func (c *town) writeLogs(t *testing.T) {
	folder := c.in("logs")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Error(err)
	}
	for _, p := range append(c.all(), c.nats) {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%d.log", p.Name, p.PID())), []byte(p.Log.String()), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// rest waits until every request is answered, every run tracked and every
// message settled; then the services end. What does not come to rest within
// limit is for the audit to find.
func (c *town) rest(t *testing.T, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.unrest(ctx)
		if err == nil {
			break
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
			t.Errorf("no rest after %s: %v", limit, err)
		}
		break
	}
	for _, p := range c.all() {
		if !p.Ended() {
			p.Stop(t)
		}
	}
}

// unrest says what still goes on.
func (c *town) unrest(ctx context.Context) error {
	requests, err := c.count(ctx, events.StreamRequests, ">")
	if err != nil {
		return err
	}
	accepted, err := c.subjects(ctx, events.TypePipelineAccepted+".*")
	if err != nil {
		return err
	}
	rejected, err := c.subjects(ctx, events.TypePipelineRejected+".*")
	if err != nil {
		return err
	}
	tracked, err := c.subjects(ctx, events.TypeTrackingCompleted+".*")
	if err != nil {
		return err
	}
	if requests != len(accepted)+len(rejected) || len(tracked) != len(accepted) {
		return fmt.Errorf("%d requests, %d accepted, %d rejected, %d tracked", requests, len(accepted), len(rejected), len(tracked))
	}
	for _, stream := range []string{events.StreamRequests, events.StreamFacts, events.StreamMetrics, events.StreamDead} {
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
		return fmt.Errorf("%s is held", key)
	}
	return nil
}

func (c *town) count(ctx context.Context, stream, filter string) (int, error) {
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

// subjects are those of the facts that match a filter.
func (c *town) subjects(ctx context.Context, filter string) (map[string]bool, error) {
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

// audited reads what is left of a town at rest and reports every fault.
func (c *town) audited(t *testing.T) snapshot.State {
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

// orphans are processes other than NATS that still run in the town's folder,
// as far as the system tells.
func (c *town) orphans() []string {
	var out []string
	folders, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return nil
	}
	for _, f := range folders {
		where, err := os.Readlink(f)
		pid := filepath.Base(filepath.Dir(f))
		if err == nil && (where == c.dir || strings.HasPrefix(where, c.dir+"/")) && pid != fmt.Sprint(c.nats.PID()) {
			out = append(out, "process "+pid)
		}
	}
	for _, p := range c.all() {
		if !p.Ended() {
			out = append(out, fmt.Sprintf("process %d of %s", p.PID(), p.Name))
		}
	}
	return out
}
