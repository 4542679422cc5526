package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
)

// Publisher is a Watermill publisher without fences: a topic is a subject,
// the message's UUID is its id for the server's deduplication. Facts are
// published by [Bus.Publish] instead.
type Publisher struct{ bus *Bus }

// NewPublisher returns a publisher on b.
func NewPublisher(b *Bus) *Publisher { return &Publisher{bus: b} }

// Publish stores the messages one after the other and stops at the first
// that is refused.
func (p *Publisher) Publish(topic string, msgs ...*message.Message) error {
	for _, m := range msgs {
		out := nats.NewMsg(topic)
		out.Data = m.Payload
		for k, v := range m.Metadata {
			out.Header[k] = []string{v}
		}
		out.Header[headerMsgID] = []string{m.UUID}
		ctx, cancel := context.WithTimeout(m.Context(), 5*time.Second)
		_, err := p.bus.js.PublishMsg(ctx, out)
		cancel()
		if err != nil {
			return fmt.Errorf("publish %s: %w", topic, err)
		}
	}
	return nil
}

// Close does nothing: the connection belongs to the bus.
func (p *Publisher) Close() error { return nil }
