// Package bustest starts NATS servers for tests, and holds the tests of
// pipeline/bus. The servers run in the test's process, with the streams and
// consumers of tunebus.
//
//	c := bustest.New(t, topology.Topology{})
//	stored, err := journal.New(c).Publish(t.Context(), event, journal.Fence{})
//
// [NewProxy] breaks the connection between a client and a server.
//
// The tests of the packages below pipeline/bus are here because they need a
// real server, and pipeline must not import embedded. The files have the names
// of the packages or parts that they test.
package bustest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Start starts a server, by default in a folder of the test. The server stops
// when the test ends.
func Start(t testing.TB, opts embedded.Options) *embedded.Server {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
		opts.RelaxedSync = true
	}
	s, err := embedded.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// New starts a server, connects to it and applies the topology. The default
// ack wait is 3 s.
func New(t testing.TB, top topology.Topology) *conn.Conn {
	t.Helper()
	c := Connect(t, Start(t, embedded.Options{}))
	if top.AckWait == 0 {
		top.AckWait = 3 * time.Second
	}
	if err := topology.Apply(t.Context(), c, top); err != nil {
		t.Fatal(err)
	}
	return c
}

// Connect connects to a server. The connection closes when the test ends.
func Connect(t testing.TB, s *embedded.Server) *conn.Conn {
	t.Helper()
	c, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{InProcess: s, Name: "test", Logger: Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// PublishRaw stores messages as they are, by their subjects.
func PublishRaw(t testing.TB, s *embedded.Server, bodies map[string]string) {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for subject, body := range bodies {
		if _, err := js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
}

// Logger writes to the test's log.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
