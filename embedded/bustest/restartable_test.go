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

// broker is a server that can be restarted on its folder and port, with a
// stream for each topic.
type broker struct {
	url  string
	opts embedded.Options
	js   jetstream.JetStream

	mu      sync.Mutex
	server  *embedded.Server
	closers []func()
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	opts := embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true}
	server, err := embedded.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{url: server.URL(), server: server}
	opts.Listen = strings.TrimPrefix(b.url, "nats://")
	b.opts = opts
	nc, err := nats.Connect(b.url, nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	if b.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		for _, c := range slices.Backward(b.closers) {
			c()
		}
		if err := b.server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// again restarts the server.
func (b *broker) again(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.server.Stop()
	if err == nil {
		b.server, err = embedded.Start(ctx, b.opts)
	}
	return err
}

func (b *broker) stop(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.server.Stop(); err != nil {
		t.Fatal(err)
	}
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	s, err := embedded.Start(t.Context(), b.opts)
	if err != nil {
		t.Fatal(err)
	}
	b.server = s
}

func (b *broker) closeLater(c func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closers = append(b.closers, c)
}

func (b *broker) stream(ctx context.Context, topic string) error {
	_, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: topic, Subjects: []string{topic}})
	return err
}

func (b *broker) consumer(ctx context.Context, topic, group string) error {
	_, err := b.js.CreateConsumer(ctx, topic, jetstream.ConsumerConfig{Durable: group, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: -1})
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return nil
	}
	return err
}
