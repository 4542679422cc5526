package wakeup

import (
	"context"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Listen calls each for every event on the subjects, as core NATS shows them:
// at most once, and also those that a stream refused. It is for screens. Events
// that cannot be decoded are left out. The calls end with ctx.
func Listen(ctx context.Context, c *conn.Conn, each func(codec.Message), subjects ...string) error {
	subs, err := subscribe(c, subjects, func(m *nats.Msg) {
		d, err := c.Codec().Decode(m.Subject, m.Header, m.Data)
		if err == nil && ctx.Err() == nil {
			each(codec.Message{Event: d.Event, ID: d.ID, Subject: m.Subject})
		}
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { unsubscribe(subs) })
	return nil
}
