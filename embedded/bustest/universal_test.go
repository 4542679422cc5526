package bustest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestUniversalSuite runs Watermill's own suite over the production
// subscriber and publisher.
//
// Features: consumer groups are durables. A durable hands messages out in
// the stream's order to subscribers with one slot each. Messages outlive
// subscribers. Delivery is at least once, as everywhere in JetStream. A
// durable goes on where it stopped, so a second subscriber of the same group
// does not get old messages again. The context does not travel: only the
// trace in a header does. Restarts of the broker are [TestBrokerRestarts]'s: the
// suite's own test of them compares what was received with what it has noted
// as published by then, which on a busy machine is not yet all of it.
func TestUniversalSuite(t *testing.T) {
	broker := newBroker(t)
	connect := func(t *testing.T) *conn.Conn {
		b, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: broker.url, Name: "universal", Logger: bustest.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		broker.closeLater(b.Close)
		return b
	}
	group := func(t *testing.T, name string) (message.Publisher, message.Subscriber) {
		b := connect(t)
		return publisher{b}, newGroupSubscriber(b, broker, name, delivery.SubscriberConfig{Logger: bustest.Logger(t)})
	}
	tests.TestPubSub(t, tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
		GenerateTopicFunc: func(ctx tests.TestContext) string {
			topic := "topic-" + strings.ReplaceAll(string(ctx.TestID), ".", "-")
			if err := broker.stream(t.Context(), topic); err != nil {
				t.Error(err)
			}
			return topic
		},
	}, func(t *testing.T) (message.Publisher, message.Subscriber) { return group(t, "default") }, group)
}

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
