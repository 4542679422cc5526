// Package bustest gives tests a real NATS server in the process, with the
// streams and consumers set up.
package bustest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Start starts a server in a folder of the test and stops it at its end.
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

// New starts a server, sets it up by layout and connects to it.
func New(t testing.TB, layout topology.Topology) *conn.Conn {
	t.Helper()
	b := Connect(t, Start(t, embedded.Options{}))
	if layout.AckWait == 0 {
		layout.AckWait = 3 * time.Second
	}
	if err := topology.Apply(t.Context(), b, layout); err != nil {
		t.Fatal(err)
	}
	return b
}

// Connect connects to a server and closes the connection at the test's end.
func Connect(t testing.TB, s *embedded.Server) *conn.Conn {
	t.Helper()
	b, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{InProcess: s, Name: "test", Logger: Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Logger writes to the test's log.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
