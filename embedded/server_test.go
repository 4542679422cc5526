package embedded_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer is a log that tests read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func start(t *testing.T, opts embedded.Options) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// connect connects without a socket.
func connect(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestStartOnStoreOfStoppedServer: the messages of a stopped server are there when
// the next one starts on its folder.
func TestStartOnStoreOfStoppedServer(t *testing.T) {
	t.Parallel()
	for name, relaxed := range map[string]bool{"always": false, "default": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := embedded.Options{Dir: filepath.Join(t.TempDir(), "a", "b"), RelaxedSync: relaxed}
			s := start(t, opts)
			if url := s.URL(); url != "" {
				t.Errorf("it listens on %s", url)
			}
			js := connect(t, s)
			if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
				t.Fatal(err)
			}
			if _, err := js.Publish(t.Context(), "s", []byte("stored")); err != nil {
				t.Fatal(err)
			}
			if err := s.Stop(); err != nil {
				t.Fatal(err)
			}
			s = start(t, opts)
			defer func() {
				if err := s.Stop(); err != nil {
					t.Error(err)
				}
			}()
			stream, err := connect(t, s).Stream(t.Context(), "S")
			if err != nil {
				t.Fatal(err)
			}
			if msg, err := stream.GetLastMsgForSubject(t.Context(), "s"); err != nil || string(msg.Data) != "stored" {
				t.Errorf("%v, %v", msg, err)
			}
		})
	}
}

// TestStartLocksFolder: a folder has one server at a time.
func TestStartLocksFolder(t *testing.T) {
	t.Parallel()
	opts := embedded.Options{Dir: t.TempDir(), RelaxedSync: true}
	s := start(t, opts)
	if _, err := embedded.Start(t.Context(), opts); !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), opts.Dir) {
		t.Errorf("second server: %v, want ErrInUse that names the folder", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := start(t, opts).Stop(); err != nil {
		t.Error(err)
	}
}

// TestStartOnTakenPort: Start returns ErrPort and unlocks the folder.
func TestStartOnTakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	opts := embedded.Options{Dir: t.TempDir(), Listen: l.Addr().String(), RelaxedSync: true}
	if _, err := embedded.Start(t.Context(), opts); !errors.Is(err, embedded.ErrPort) || !strings.Contains(err.Error(), opts.Listen) {
		t.Errorf("%v, want ErrPort that names the address", err)
	}
	opts.Listen = "127.0.0.1:0"
	s := start(t, opts)
	if !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Errorf("it listens on %q", s.URL())
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func TestStartWithBadAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"nowhere", "127.0.0.1:many", "127.0.0.1:99999", "256.1.1.1:4222"} {
		if _, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: address}); err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestStartWithoutFolder: there is a file in the place of the folder, or of the
// store in it.
func TestStartWithoutFolder(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), embedded.Options{Dir: path}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	// The folder is there, but the server cannot create its store.
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	if _, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(log, nil))}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

// TestStartEndsWithContext: Start returns when its context ends, although the server
// still reads its store.
func TestStartEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begin := time.Now()
	dir := t.TempDir()
	s, err := embedded.Start(ctx, embedded.Options{Dir: dir, RelaxedSync: true})
	if err == nil { // the server was ready at once
		err = s.Stop()
		if err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := start(t, embedded.Options{Dir: dir, RelaxedSync: true}).Stop(); err != nil {
		t.Error(err)
	}
}
