package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Listen calls hear for each message on the subjects, as core NATS shows
// them: at most once, and also those that a stream refused. It is for what
// people look at. Messages that cannot be decoded are left out. The calls end
// with ctx.
func (b *Bus) Listen(ctx context.Context, hear func(Message), subjects ...string) error {
	for _, subject := range subjects {
		s, err := b.nc.Subscribe(subject, func(m *nats.Msg) {
			said, err := b.decode(m.Subject, m.Header, m.Data)
			if err == nil && ctx.Err() == nil {
				hear(Message{Event: said.event, ID: said.id, Subject: m.Subject})
			}
		})
		if err != nil {
			return fmt.Errorf("listen to %s: %w", subject, err)
		}
		context.AfterFunc(ctx, func() { _ = s.Unsubscribe() }) // fails only on a closed connection
	}
	return nil
}
