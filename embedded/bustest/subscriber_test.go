package bustest_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"strings"

	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// TestBrokerRestarts: the broker restarts twice while many publish. Whatever
// was published in the end is received, and nothing else.
func TestBrokerRestarts(t *testing.T) {
	t.Parallel()
	broker := newBroker(t)
	const topic, total, publishers = "restarts", 2000, 50
	if err := broker.stream(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	b, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: broker.url, Name: "restarts", Logger: bustest.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	broker.closeLater(b.Close)
	sub := newGroupSubscriber(b, broker, "reader", delivery.SubscriberConfig{Logger: bustest.Logger(t)})
	messages, err := sub.Subscribe(context.WithoutCancel(t.Context()), topic)
	if err != nil {
		t.Fatal(err)
	}
	pub := publisher{b}
	var next atomic.Int64
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			for n := next.Add(1); n <= total && t.Context().Err() == nil; n = next.Add(1) {
				if n == total/3 || n == total/2 {
					if err := broker.again(t.Context()); err != nil {
						t.Error(err)
					}
				}
				m := message.NewMessage(strconv.FormatInt(n, 10), []byte("x"))
				for pub.Publish(topic, m) != nil && t.Context().Err() == nil {
				}
			}
		})
	}
	received := map[string]bool{}
	for len(received) < total {
		m, ok := <-messages
		if !ok {
			t.Fatalf("the subscription ended after %d messages", len(received))
		}
		received[m.UUID] = true
		m.Ack()
	}
	publishing.Wait()
	for n := range total {
		if id := strconv.Itoa(n + 1); !received[id] {
			t.Errorf("message %s was not received", id)
		}
	}
}

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
