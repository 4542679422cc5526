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
// subject, and the message's UUID is the id by which the server deduplicates.
// In production journal.Journal publishes the facts.
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
// suite expects a subscriber to create its consumers, but the production
// subscriber only binds to consumers that "tunebus setup" created.
type groupSubscriber struct {
	*delivery.Subscriber
	server *restartableServer
	group  string
}

func newGroupSubscriber(c *conn.Conn, server *restartableServer, group string, cfg delivery.SubscriberConfig) groupSubscriber {
	s := delivery.NewSubscriber(c, deadletter.New(c), cfg)
	server.onCleanup(func() { _ = s.Close() }) // never fails; the suite does not close every subscriber
	return groupSubscriber{Subscriber: s, server: server, group: group}
}

// Subscribe implements [message.Subscriber]. The stream has the topic's name.
func (s groupSubscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if err := s.server.createConsumer(ctx, topic, s.group); err != nil {
		return nil, err
	}
	return s.Subscriber.Subscribe(ctx, topic+"/"+s.group)
}

// SubscribeInitialize implements [message.SubscribeInitializer], which
// has no context.
func (s groupSubscriber) SubscribeInitialize(topic string) error {
	return s.server.createStream(context.Background(), topic)
}
