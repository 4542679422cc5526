// Package publishing stores the events of commands. A service publishes until the
// stream takes the event; a person who waits at a terminal is told after a while
// that it does not.
//
//	to := publishing.Within(b, publishing.Limit)
//	_, err := to.Publish(ctx, events.CancelRequested{RunID: id}, journal.Fence{})
package publishing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// Limit is how long a command tries to store an event: longer than a cluster
// takes to elect a leader.
const Limit = 30 * time.Second

// Publisher is a [journal.Journal] with a limit.
type Publisher struct {
	bus   *conn.Conn
	limit time.Duration
}

// Within returns a publisher that tries for so long. A limit of 0, and one above
// [Limit], is [Limit].
func Within(b *conn.Conn, limit time.Duration) Publisher {
	if limit <= 0 || limit > Limit {
		limit = Limit
	}
	return Publisher{bus: b, limit: limit}
}

// Publish is [journal.Journal.Publish]. The error is a [*NotStoredError] if the
// limit is over.
func (p Publisher) Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error) {
	limited, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	m, err := journal.New(p.bus).Publish(limited, ev, fence)
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		err = &NotStoredError{Server: p.bus.Server(), After: p.limit, Err: err}
	}
	return m, err
}

// NotStoredError means that NATS did not confirm within the limit that it has
// stored an event. It may have stored it, if its answers got lost.
type NotStoredError struct {
	Server string
	After  time.Duration
	Err    error
}

func (e *NotStoredError) Error() string {
	after := e.After
	if after > time.Second/2 {
		after = after.Round(time.Second)
	}
	return fmt.Sprintf("NATS at %s did not confirm it within %s: %v; \"tunebus doctor\" looks at the server, and \"tunebus setup\" creates the streams that are missing",
		e.Server, after, e.Err)
}

// Unwrap returns the cause.
func (e *NotStoredError) Unwrap() error { return e.Err }
