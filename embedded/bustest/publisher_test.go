package bustest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// publisher is a Watermill publisher for the conformance suite: a topic is a
// subject, the message's UUID is its id for the server's deduplication. Facts
// are published by journal.Journal instead.
type publisher struct{ conn *conn.Conn }

// Publish implements [message.Publisher].
func (p publisher) Publish(topic string, msgs ...*message.Message) error {
	for _, m := range msgs {
		out := nats.NewMsg(topic)
		out.Data = m.Payload
		for k, v := range m.Metadata {
			out.Header[k] = []string{v}
		}
		out.Header[nats.MsgIdHdr] = []string{m.UUID}
		ctx, cancel := context.WithTimeout(m.Context(), 5*time.Second)
		err := p.conn.Request(ctx, conn.Publish, func(ctx context.Context, js jetstream.JetStream) error {
			_, err := js.PublishMsg(ctx, out)
			return err
		})
		cancel()
		if err != nil {
			return fmt.Errorf("publish %s: %w", topic, err)
		}
	}
	return nil
}

// Close implements [message.Publisher].
func (p publisher) Close() error { return nil }

// groupSubscriber is the production subscriber for one consumer group. The
// suite expects a subscriber to create its consumers; the production one only
// binds to what "tunebus setup" created.
type groupSubscriber struct {
	*delivery.Subscriber
	broker *broker
	group  string
}

func newGroupSubscriber(c *conn.Conn, b *broker, group string, cfg delivery.SubscriberConfig) groupSubscriber {
	s := delivery.NewSubscriber(c, deadletter.New(c), cfg)
	b.closeLater(func() { _ = s.Close() }) // never fails; the suite does not close each
	return groupSubscriber{Subscriber: s, broker: b, group: group}
}

// Subscribe implements [message.Subscriber]: the stream has the topic's name.
func (s groupSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := s.broker.consumer(ctx, topic, s.group); err != nil {
		return nil, err
	}
	return s.Subscriber.Subscribe(ctx, topic+"/"+s.group)
}

// SubscribeInitialize implements [message.SubscribeInitializer]; the suite
// gives it no context.
func (s groupSubscriber) SubscribeInitialize(topic string) error {
	return s.broker.stream(context.Background(), topic)
}
