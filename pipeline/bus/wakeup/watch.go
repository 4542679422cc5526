package wakeup

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// settled is how long after a publish the stream has surely stored it: core
// NATS shows a publish before that.
const settled = 50 * time.Millisecond

// repeats are the pauses between the wake-ups after a publish. The stream
// stores most publishes much sooner than settled.
func repeats() []time.Duration {
	return []time.Duration{time.Millisecond, 5 * time.Millisecond, settled}
}

// Watch returns a channel that gets a value soon after a publish on one of the
// subjects, and after a reconnect. Wake-ups that are not received in time
// become one. The subscription ends with ctx; the channel is never closed.
func Watch(ctx context.Context, c *conn.Conn, subjects ...string) (<-chan struct{}, error) {
	select {
	case <-c.Closed():
		return nil, fmt.Errorf("listen: %w", nats.ErrConnectionClosed)
	default:
	}
	w := &watcher{conn: c, out: make(chan struct{}, 1), published: make(chan struct{}, 1)}
	subs, err := subscribe(c, subjects, func(*nats.Msg) {
		notify(w.out)
		notify(w.published)
	})
	if err != nil {
		return nil, err
	}
	c.Go(ctx, func(ctx context.Context) {
		defer unsubscribe(subs)
		w.repeatUntilStored(ctx)
	})
	return w.out, nil
}

// watcher repeats wake-ups. Its subscriptions only pass them on: a handler must
// not block the connection.
type watcher struct {
	conn      *conn.Conn
	out       chan struct{}
	published chan struct{}
}

// repeatUntilStored wakes the receiver for what core NATS cannot show, until
// ctx ends.
func (w *watcher) repeatUntilStored(ctx context.Context) {
	reconnected := w.conn.Reconnected()
	// A publish from before the server knew of the subscriptions woke nothing,
	// so the receiver is woken once as soon as it does.
	if closed := flush(ctx, w.conn); closed {
		return
	}
	notify(w.out)

	var next <-chan time.Time
	pauses := repeats()
	running := 0   // index of the pause that runs
	again := false // something was published meanwhile, and is not settled yet
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.published:
			if next == nil {
				running, next = 0, time.After(pauses[0])
			} else {
				again = true
			}
		case <-next:
			next = nil
			if running++; again {
				again, running = false, 0
			}
			if running < len(pauses) {
				next = time.After(pauses[running])
			}
			notify(w.out)
		case <-reconnected:
			reconnected = w.conn.Reconnected()
			notify(w.out)
		}
	}
}

// notify wakes the receiver of a channel; wake-ups that it has not received
// become one.
func notify(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
