package intake_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/intake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is the id of the artifact store in these tests.
const store = "store-1"

// fixture is a running intake service with its own server.
type fixture struct {
	bus    *conn.Conn
	js     jetstream.JetStream // a plain NATS client
	routes []delivery.Route
	log    *logBuffer
}

func open(t *testing.T, cfg intake.Config, streams topology.Topology) *fixture {
	t.Helper()
	return openFor(t, func(*conn.Conn) intake.Config { return cfg }, streams)
}

// openFor opens a service whose configuration needs the bus.
func openFor(t *testing.T, configure func(*conn.Conn) intake.Config, streams topology.Topology) *fixture {
	t.Helper()
	server := bustest.Start(t, embedded.Options{})
	f := &fixture{bus: bustest.Connect(t, server), log: &logBuffer{}}
	if err := topology.Apply(t.Context(), f.bus, streams); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if f.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	cfg := configure(f.bus)
	cfg.Store, cfg.Logger = store, slog.New(slog.NewTextHandler(f.log, nil))
	f.routes = intake.New(f.bus, cfg).Routes()
	r, err := delivery.NewRouter(f.bus, deadletter.New(f.bus), cfg.Logger)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range f.routes {
		r.Add(route)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Running()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// specification returns the specification of a request: the keys that each run
// needs, and the given ones.
func specification(t *testing.T, sections map[string]map[string]any) json.RawMessage {
	t.Helper()
	spec := map[string]map[string]any{
		"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/data"},
		"inferencer": {"testing_data_id": "owner/data"},
	}
	for section, keys := range sections {
		if spec[section] == nil {
			spec[section] = map[string]any{}
		}
		for k, v := range keys {
			spec[section][k] = v
		}
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// handle calls the handler of a route directly.
func (f *fixture) handle(t *testing.T, route string, d delivery.Delivery) error {
	t.Helper()
	for _, r := range f.routes {
		if r.Name == route {
			return r.Handle(t.Context(), d)
		}
	}
	t.Fatalf("no route %s", route)
	return nil
}

// request publishes a request and returns its sequence.
func (f *fixture) request(t *testing.T, req events.PipelineRequested) uint64 {
	t.Helper()
	if req.Specification == nil {
		req.Specification = specification(t, nil)
	}
	m, err := journal.New(f.bus).Publish(t.Context(), req, journal.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Sequence
}

func (f *fixture) publish(t *testing.T, evs ...events.Event) {
	t.Helper()
	for _, ev := range evs {
		if _, err := journal.New(f.bus).Publish(t.Context(), ev, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits until a run fulfils a condition.
func (f *fixture) until(t *testing.T, id, what string, ok func(events.Run) bool) events.Run {
	t.Helper()
	var run events.Run
	eventually(t, what+" of "+id, func() bool {
		var err error
		run, err = history.New(f.bus).Run(t.Context(), id)
		return err == nil && ok(run)
	})
	return run
}

// accepted waits for the first job of a run.
func (f *fixture) accepted(t *testing.T, id string) events.Run {
	t.Helper()
	return f.until(t, id, "the first job", func(r events.Run) bool {
		if r.Accepted == nil {
			return false
		}
		p := r.Phases[r.Accepted.Plan[0].Phase]
		return p != nil && p.Requested != nil
	})
}

func (f *fixture) ended(t *testing.T, id string) events.PipelineCompleted {
	t.Helper()
	return *f.until(t, id, "the end", func(r events.Run) bool { return r.Completed != nil }).Completed
}

// faults waits for the rejection of a request and returns its faults by key.
func (f *fixture) faults(t *testing.T, request uint64) map[string]events.Fault {
	t.Helper()
	var got map[string]events.Fault
	eventually(t, "the rejection", func() bool {
		m, err := history.New(f.bus).Latest(t.Context(), events.PipelineRejected{RequestSequence: request}.Subject())
		if errors.Is(err, history.ErrNotFound) {
			return false
		}
		if err != nil {
			t.Fatal(err)
		}
		got = map[string]events.Fault{}
		for _, fault := range m.Event.(events.PipelineRejected).Faults {
			got[fault.Key] = fault
		}
		return true
	})
	return got
}

// eventually waits for a condition, one minute at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within one minute: %s", what)
		}
		<-tick.C
	}
}

// logBuffer is a log that a test can search.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), text)
}

// longestLine returns the length of the log's longest line.
func (l *logBuffer) longestLine() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := 0
	for line := range strings.Lines(l.buf.String()) {
		longest = max(longest, len(line))
	}
	return longest
}
