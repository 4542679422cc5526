package bustest_test

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

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
