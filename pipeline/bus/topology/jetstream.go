package topology

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// HasJetStream reports whether the server keeps streams at all. It is true as well if the
// server does not say.
func HasJetStream(ctx context.Context, c *conn.Conn) bool {
	err := c.Request(ctx, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.AccountInfo(ctx)
		return err
	})
	off := errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) || errors.Is(err, nats.ErrNoResponders)
	return !off
}
