package conn

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Request runs one request, or the few that make one operation of the client
// library. do gets a context that ends after the limit of op at the latest.
func (c *Conn) Request(ctx context.Context, op Op, do func(ctx context.Context, js jetstream.JetStream) error) error {
	bounded, cancel := context.WithTimeout(ctx, op.Limit())
	defer cancel()
	return noReply(ctx, c.Server(), op, do(bounded, c.js))
}

// RequestMany sends a request that has up to limit replies, and calls each for
// every reply until it reports the last one. A server that refuses the request
// by permissions is an error at once.
func (c *Conn) RequestMany(ctx context.Context, op Op, subject string, body []byte, limit int, each func(*nats.Msg) (last bool, err error)) error {
	bounded, cancel := context.WithTimeout(ctx, op.Limit())
	defer cancel()
	reply, err := c.replies.register(c.nc, subject, limit)
	if err != nil {
		return err
	}
	defer c.replies.unregister(reply)
	if err := c.nc.PublishRequest(subject, reply.inbox, body); err != nil {
		return err
	}
	for {
		msg, err := reply.receive(bounded, c.Closed())
		if err != nil {
			return noReply(ctx, c.Server(), op, err)
		}
		if last, err := each(msg); last || err != nil {
			return err
		}
	}
}

// noReply names the request that got no reply within its own limit. An error of
// the caller's context stays as it is.
func noReply(ctx context.Context, server string, op Op, err error) error {
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%s: no reply from NATS at %s within %s: %w", op, server, op.Limit(), err)
}
