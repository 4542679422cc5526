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
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ackWait is how long the job of a dead worker waits in these tests.
const ackWait = time.Second

// workshop is a server with the streams, an artifact store, and whatever
// workers a test wants, without the other services.
type workshop struct {
	server *embedded.Server
	opts   embedded.Options
	bus    *conn.Conn
	js     jetstream.JetStream
	store  *artifact.Store
	folder string // of the store
	log    *lines
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	s := &workshop{log: &lines{}, opts: embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true}}
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

func (s *workshop) connect(t *testing.T, url string) *conn.Conn {
	t.Helper()
	b, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: url, Name: "test", Logger: s.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (s *workshop) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s.log, nil)) }

// fast makes what a worker waits for short.
func fast(cfg worker.Config) worker.Config {
	if cfg.Phase == "" {
		cfg.Phase = events.Finetune
	}
	if cfg.Timing.WrongWorkerDelay == 0 {
		cfg.Timing.WrongWorkerDelay = 100 * time.Millisecond
	}
	return cfg
}

// worker lets a worker take jobs on a connection until the test ends, or stop
// is called; stop returns how long the end took.
func (s *workshop) worker(t *testing.T, on *conn.Conn, e engine.Func, cfg worker.Config) (stop func() time.Duration) {
	t.Helper()
	cfg = fast(cfg)
	cfg.Logger = s.logger()
	if cfg.Scratch == "" {
		cfg.Scratch = t.TempDir()
	}
	return s.receive(t, on, worker.New(on, s.store, e, cfg).Route())
}

func (s *workshop) receive(t *testing.T, on *conn.Conn, routes ...delivery.Route) (stop func() time.Duration) {
	t.Helper()
	r, err := delivery.NewRouter(on, deadletter.New(on), s.logger())
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		r.Add(route)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Running()
	end := sync.OnceValue(func() time.Duration {
		began := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return time.Since(began)
	})
	t.Cleanup(func() { end() })
	return end
}

// accept stores an accepted run whose plan is the phases, and its first job.
func (s *workshop) accept(t *testing.T, id string, change func(*events.PipelineAccepted), phases ...events.Phase) {
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

func (s *workshop) publish(t *testing.T, ev events.Event) {
	t.Helper()
	if _, err := journal.New(s.bus).Publish(t.Context(), ev, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
}

// until waits until a run is as ok wants it.
func (s *workshop) until(t *testing.T, id, what string, ok func(events.Run) bool) events.Run {
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

func (s *workshop) ended(t *testing.T, id string) events.Run {
	t.Helper()
	return s.until(t, id, "the run's end", func(r events.Run) bool { return r.Completed != nil })
}

// settled waits until nobody holds a job of fine-tuning and none waits.
func (s *workshop) settled(t *testing.T) {
	t.Helper()
	eventually(t, "all jobs are settled", func() bool {
		c, err := s.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
		if err != nil {
			return false
		}
		i := c.CachedInfo()
		return i.NumAckPending == 0 && i.NumPending == 0
	})
}

// keys lists what the store holds below a run's prefix.
func (s *workshop) keys(t *testing.T, id string) []string {
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

// eventually waits for a condition, ten minutes at most: the race detector makes
// training many times slower.
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

// lines is a log that tests look at.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// says reports whether a line of the log has all the words.
func (l *lines) says(words ...string) bool {
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
