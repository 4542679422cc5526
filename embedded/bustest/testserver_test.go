package bustest_test

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
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testServer is a server with the topology of tunebus, a connection of
// tunebus, and a plain NATS client, which shows what the server has stored.
type testServer struct {
	server *embedded.Server
	conn   *conn.Conn
	js     jetstream.JetStream
	log    *logBuffer
}

// logBuffer is a log that tests read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// count counts a text in lower case, without regard to the case of the log.
func (l *logBuffer) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(strings.ToLower(l.b.String()), text)
}

// newTestServer starts a server. The default ack wait is 2 s.
func newTestServer(t *testing.T, top topology.Topology) *testServer {
	t.Helper()
	server := bustest.Start(t, embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true})
	s := &testServer{server: server, log: &logBuffer{}}
	s.conn = s.connect(t, server.URL())
	if top.AckWait == 0 {
		top.AckWait = 2 * time.Second
	}
	if err := topology.Apply(t.Context(), s.conn, top); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *testServer) connect(t *testing.T, url string) *conn.Conn {
	t.Helper()
	c, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: url, Name: "test", Logger: slog.New(slog.NewTextHandler(s.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// runRouter runs a router with routes until the test ends or stop is called.
// stop returns how long the shutdown took.
func (s *testServer) runRouter(t *testing.T, c *conn.Conn, routes ...delivery.Route) (stop func() time.Duration) {
	t.Helper()
	return bustest.RunRouter(t, c, slog.New(slog.NewTextHandler(s.log, nil)), routes...)
}

// jobRoute is the route of the fine-tuning queue.
func jobRoute(handle delivery.Handler) delivery.Route {
	return delivery.Route{Name: "jobs", Stream: events.StreamFacts, Consumer: topology.JobConsumer(events.Finetune, "builtin"), Handle: handle}
}

func (s *testServer) publish(t *testing.T, ev events.Event) codec.Message {
	t.Helper()
	m, err := journal.New(s.conn).Publish(t.Context(), ev, journal.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// publishRaw publishes bytes by the plain client and returns their sequence.
func (s *testServer) publishRaw(t *testing.T, subject, body string, header nats.Header) uint64 {
	t.Helper()
	ack, err := s.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(body), Header: header})
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// pending counts the messages of the fine-tuning queue: delivered and not
// settled, and not yet delivered.
func (s *testServer) pending(t *testing.T) (unsettled, waiting int) {
	t.Helper()
	c, err := s.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.NumAckPending, int(info.NumPending)
}

// waitForSettled waits until every message of the fine-tuning queue is settled.
func (s *testServer) waitForSettled(t *testing.T) {
	t.Helper()
	eventually(t, "the jobs are settled", func() bool {
		unsettled, waiting := s.pending(t)
		return unsettled == 0 && waiting == 0
	})
}

// wantEqual reports a value that is not the expected one.
func wantEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// wantContains reports a text that lacks a part.
func wantContains(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q does not contain %q", what, text, part)
	}
}

// eventually waits for a condition, for one minute at most.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
