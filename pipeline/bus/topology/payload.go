package topology

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// PayloadError means that a server does not take messages of the size that
// tunebus needs. A dead letter, for example, is larger than its event.
type PayloadError struct {
	Server string
	// Limit is the server's max_payload in bytes.
	Limit int64
}

func (e *PayloadError) Error() string {
	return fmt.Sprintf("the server %s takes messages of at most %s bytes (max_payload), and tunebus needs %s; "+
		"write \"max_payload: 1MB\" into the configuration of nats-server and reload it, on every server of a cluster",
		e.Server, events.Count(e.Limit), events.Count(events.MinServerPayload))
}

// CheckPayload checks the max_payload of the server that c leads to, and returns
// it. The error is a [*PayloadError] if it is too small.
func CheckPayload(ctx context.Context, c *conn.Conn) (limit int64, err error) {
	err = c.Request(ctx, conn.StreamInfo, func(_ context.Context, js jetstream.JetStream) error {
		limit = js.Conn().MaxPayload() // the server said it when the connection was made
		return nil
	})
	if err == nil && limit < events.MinServerPayload {
		err = &PayloadError{Server: c.Server(), Limit: limit}
	}
	return limit, err
}
