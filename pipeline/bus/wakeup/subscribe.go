package wakeup

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// subscribe subscribes to all subjects, or to none.
func subscribe(c *conn.Conn, subjects []string, handle func(*nats.Msg)) ([]*nats.Subscription, error) {
	var subs []*nats.Subscription
	for _, subject := range subjects {
		s, err := c.Subscribe(subject, handle)
		if err != nil {
			unsubscribe(subs)
			return nil, fmt.Errorf("listen to %s: %w", subject, err)
		}
		subs = append(subs, s)
	}
	return subs, nil
}

func unsubscribe(subs []*nats.Subscription) {
	for _, s := range subs {
		_ = s.Unsubscribe() // fails only on a closed connection
	}
}

// flush waits until the server knows of the subscriptions. It fails on a
// connection that is down, whose reconnect is a wake-up. closed reports whether
// the connection is closed for good.
func flush(ctx context.Context, c *conn.Conn) (closed bool) {
	err := c.Request(ctx, conn.Flush, func(ctx context.Context, js jetstream.JetStream) error {
		return js.Conn().FlushWithContext(ctx)
	})
	return errors.Is(err, nats.ErrConnectionClosed)
}
