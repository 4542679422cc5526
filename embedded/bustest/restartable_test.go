package bustest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
)

// restartableServer is a server that a test can stop and start again, on the
// same folder and port.
type restartableServer struct {
	url  string
	opts embedded.Options
	js   jetstream.JetStream

	mu      sync.Mutex
	server  *embedded.Server
	closers []func() // called when the test ends, the last one first
}

func newRestartableServer(t *testing.T) *restartableServer {
	t.Helper()
	opts := embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true}
	server, err := embedded.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &restartableServer{url: server.URL(), server: server}
	opts.Listen = strings.TrimPrefix(s.url, "nats://")
	s.opts = opts
	nc, err := nats.Connect(s.url, nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	if s.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		for _, c := range slices.Backward(s.closers) {
			c()
		}
		if err := s.server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *restartableServer) restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.server.Stop()
	if err == nil {
		s.server, err = embedded.Start(ctx, s.opts)
	}
	return err
}

func (s *restartableServer) stop(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.server.Stop(); err != nil {
		t.Fatal(err)
	}
}

func (s *restartableServer) start(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	server, err := embedded.Start(t.Context(), s.opts)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
}

// onCleanup calls f when the test ends, while the server still runs.
func (s *restartableServer) onCleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

// createStream creates the stream of a topic.
func (s *restartableServer) createStream(ctx context.Context, topic string) error {
	_, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: topic, Subjects: []string{topic}})
	return err
}

// createConsumer creates the consumer of a group, or leaves it as it is.
func (s *restartableServer) createConsumer(ctx context.Context, topic, group string) error {
	_, err := s.js.CreateConsumer(ctx, topic, jetstream.ConsumerConfig{Durable: group, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return nil
	}
	return err
}
