package topology

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Deployment is the id of the deployment at the other end of a connection: that of its stream of
// facts, which keeps it through restarts and moves, and which no other one has.
func Deployment(ctx context.Context, c *conn.Conn) (id string, err error) {
	err = c.Request(ctx, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, events.StreamFacts)
		if err == nil {
			id = strconv.FormatInt(stream.CachedInfo().Created.UnixNano(), 36)
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("look at stream %s: %w", events.StreamFacts, err)
	}
	return id, nil
}
