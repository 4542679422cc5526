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

// TestSubscriberAcrossServerRestarts: the server restarts twice while many
// goroutines publish. The subscriber receives every message whose publish
// succeeded.
func TestSubscriberAcrossServerRestarts(t *testing.T) {
	t.Parallel()
	server := newRestartableServer(t)
	const topic, total, publishers = "restarts", 2000, 50
	if err := server.createStream(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	c, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: server.url, Name: "restarts", Logger: bustest.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	server.onCleanup(c.Close)
	sub := newGroupSubscriber(c, server, "reader", delivery.SubscriberConfig{Logger: bustest.Logger(t)})
	messages, err := sub.Subscribe(context.WithoutCancel(t.Context()), topic)
	if err != nil {
		t.Fatal(err)
	}
	pub := publisher{c}
	var next atomic.Int64
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			for n := next.Add(1); n <= total && t.Context().Err() == nil; n = next.Add(1) {
				if n == total/3 || n == total/2 {
					if err := server.restart(t.Context()); err != nil {
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

// TestSubscriberConformance runs Watermill's own suite over the production
// subscriber and a publisher for tests.
//
// Features: a consumer group is a durable consumer. It delivers messages in
// the stream's order to subscribers with one slot each. Messages outlive
// subscribers. Delivery is at least once, as everywhere in JetStream. A
// durable consumer continues where it stopped, so a second subscriber of the
// same group gets no old messages again. The context is not transported: only
// the trace in a header is.
//
// [TestSubscriberAcrossServerRestarts] tests restarts of the server. The
// suite's own test of restarts compares the received messages with its list of
// published ones, which on a busy machine is not complete by then.
func TestSubscriberConformance(t *testing.T) {
	server := newRestartableServer(t)
	connect := func(t *testing.T) *conn.Conn {
		c, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: server.url, Name: "conformance", Logger: bustest.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		server.onCleanup(c.Close)
		return c
	}
	group := func(t *testing.T, name string) (message.Publisher, message.Subscriber) {
		c := connect(t)
		return publisher{c}, newGroupSubscriber(c, server, name, delivery.SubscriberConfig{Logger: bustest.Logger(t)})
	}
	tests.TestPubSub(t, tests.Features{
		ConsumerGroups:                      true,
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: true,
		Persistent:                          true,
		GenerateTopicFunc: func(ctx tests.TestContext) string {
			topic := "topic-" + strings.ReplaceAll(string(ctx.TestID), ".", "-")
			if err := server.createStream(t.Context(), topic); err != nil {
				t.Error(err)
			}
			return topic
		},
	}, func(t *testing.T) (message.Publisher, message.Subscriber) { return group(t, "default") }, group)
}
