package standalone_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ackWait is the ack wait of these tests: the job of a dead worker is delivered
// again after it.
const ackWait = time.Second

// testServer is a server with the topology of tunebus and an artifact store. A
// test starts the workers that it needs; there are no other services.
type testServer struct {
	server *embedded.Server
	opts   embedded.Options
	bus    *conn.Conn
	js     jetstream.JetStream
	store  *artifact.Store
	folder string // the store's
	log    *logBuffer
}

func newTestServer(t *testing.T) *testServer {
	t.Helper()
	s := &testServer{log: &logBuffer{}, opts: embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true}}
	s.server = bustest.Start(t, s.opts)
	s.bus = s.connect(t, s.server.URL())
	if err := topology.Apply(t.Context(), s.bus, topology.Topology{AckWait: ackWait}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.server.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	s.folder = t.TempDir()
	s.store = openStore(t, s.folder)
	return s
}

func openStore(t *testing.T, dir string) *artifact.Store {
	t.Helper()
	store, err := artifact.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func (s *testServer) connect(t *testing.T, url string) *conn.Conn {
	t.Helper()
	b, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: url, Name: "test", Logger: s.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (s *testServer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s.log, nil)) }

// fast shortens the delays of a worker.
func fast(cfg worker.Config) worker.Config {
	if cfg.Phase == "" {
		cfg.Phase = events.Finetune
	}
	if cfg.Timing.WrongWorkerDelay == 0 {
		cfg.Timing.WrongWorkerDelay = 100 * time.Millisecond
	}
	return cfg
}

// worker runs a worker on a connection until the test ends or stop is called. stop
// returns how long the shutdown took.
func (s *testServer) worker(t *testing.T, on *conn.Conn, e engine.Func, cfg worker.Config) (stop func() time.Duration) {
	t.Helper()
	cfg = fast(cfg)
	cfg.Logger = s.logger()
	if cfg.Scratch == "" {
		cfg.Scratch = t.TempDir()
	}
	return s.runRouter(t, on, worker.New(on, s.store, e, cfg).Route())
}

// runRouter runs a router with routes, as worker does.
func (s *testServer) runRouter(t *testing.T, on *conn.Conn, routes ...delivery.Route) (stop func() time.Duration) {
	t.Helper()
	return bustest.RunRouter(t, on, s.logger(), routes...)
}

// accept stores an accepted run whose plan is the phases, and its first job.
func (s *testServer) accept(t *testing.T, id string, change func(*events.PipelineAccepted), phases ...events.Phase) {
	t.Helper()
	a := events.PipelineAccepted{RunID: id, RunName: id, RequestedAt: time.Now().UTC(), Specification: spec.Defaults()}
	a.Specification.Pipeline.Backoff = "20ms"
	for _, p := range phases {
		a.Plan = append(a.Plan, events.Step{Phase: p, Queue: "builtin"})
	}
	if change != nil {
		change(&a)
	}
	s.publish(t, a)
	if err := journal.New(s.bus).PublishNext(t.Context(), a, events.Fold([]events.Fact{a})); err != nil {
		t.Fatal(err)
	}
}

func (s *testServer) publish(t *testing.T, ev events.Event) {
	t.Helper()
	if _, err := journal.New(s.bus).Publish(t.Context(), ev, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
}

// until waits until ok accepts the run, and returns the run.
func (s *testServer) until(t *testing.T, id, what string, ok func(events.Run) bool) events.Run {
	t.Helper()
	var run events.Run
	eventually(t, what, func() bool {
		var err error
		if run, err = history.New(s.bus).Run(t.Context(), id); err != nil {
			t.Logf("read run %s: %v", id, err)
			return false
		}
		return ok(run)
	})
	return run
}

// ended waits for the end of a run.
func (s *testServer) ended(t *testing.T, id string) events.Run {
	t.Helper()
	return s.until(t, id, "the run's end", func(r events.Run) bool { return r.Completed != nil })
}

// settled waits until every job of fine-tuning is settled.
func (s *testServer) settled(t *testing.T) {
	t.Helper()
	eventually(t, "all jobs are settled", func() bool {
		c, err := s.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
		if err != nil {
			return false
		}
		// For a moment a message that is being delivered counts neither as pending nor as unsettled.
		i := c.CachedInfo()
		return i.NumAckPending == 0 && i.NumPending == 0 && i.Delivered.Consumer > 0 && i.AckFloor.Consumer == i.Delivered.Consumer
	})
}

// keys lists the artifacts of a run.
func (s *testServer) keys(t *testing.T, id string) []string {
	t.Helper()
	var out []string
	for o, err := range s.store.List(t.Context(), "runs/"+id+"/") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o.Key)
	}
	return out
}

// wantEqual reports a value that is not the expected one.
func wantEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// wantEnded wants that an attempt ended with an attempt_ended for the reason, at the
// step.
func wantEnded(t *testing.T, a events.Attempt, reason events.EndReason, lastStep int64) {
	t.Helper()
	if a.Ended == nil {
		t.Fatalf("attempt %d has no attempt_ended", a.Number)
	}
	wantEqual(t, "the reason of its end", a.Ended.Reason, reason)
	wantEqual(t, "its last step", a.Ended.LastStep, lastStep)
}

// wantAttempts wants a number of attempts.
func wantAttempts(t *testing.T, attempts []events.Attempt, n int) {
	t.Helper()
	if len(attempts) != n {
		t.Fatalf("%d attempts, want %d: %+v", len(attempts), n, attempts)
	}
}

// eventually waits for a condition, for ten minutes at most: the race detector
// makes training many times slower.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(10 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten minutes: %s", what)
		}
		<-tick.C
	}
}

// logBuffer is a log that tests read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// hasLine reports whether one line of the log contains all the words.
func (l *logBuffer) hasLine(words ...string) bool {
	for line := range strings.Lines(l.String()) {
		all := true
		for _, w := range words {
			all = all && strings.Contains(line, w)
		}
		if all {
			return true
		}
	}
	return false
}
