package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// settling is when the bell rings a second time: core NATS shows a publish
// before the stream has stored it.
const settling = 50 * time.Millisecond

// Ring is a doorbell: the channel gets a value soon after something was
// published on one of the subjects, or the connection came back. Core NATS
// also shows publishes that the stream refused, and none of those that were
// published while the connection was down; so whoever hears the bell has to
// look at the stream. Rings that nobody hears in time become one. The
// subscription ends with ctx; the channel is never closed.
func (b *Bus) Ring(ctx context.Context, subjects ...string) (<-chan struct{}, error) {
	bell := make(chan struct{}, 1)
	ring := func() {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
	var subs []*nats.Subscription
	stop := func() {
		for _, s := range subs {
			_ = s.Unsubscribe() // fails only on a closed connection
		}
	}
	for _, subject := range subjects {
		s, err := b.nc.Subscribe(subject, func(*nats.Msg) {
			ring()
			time.AfterFunc(settling, ring)
		})
		if err != nil {
			stop()
			return nil, fmt.Errorf("listen to %s: %w", subject, err)
		}
		subs = append(subs, s)
	}
	// What happened before the server knew of the subscriptions rang nowhere,
	// so the bell rings once as soon as it does. A flush fails only on a
	// connection that is down, and its return rings as well.
	go func() { // ends with the flush's own limit
		_ = b.nc.FlushTimeout(5 * time.Second)
		ring()
	}()
	status := b.nc.StatusChanged(nats.CONNECTED)
	context.AfterFunc(ctx, func() {
		stop()
		b.nc.RemoveStatusListener(status)
	})
	go func() { // ends with ctx, or with the connection
		for {
			select {
			case <-ctx.Done():
				return
			case _, ok := <-status:
				if !ok {
					return
				}
				ring()
			}
		}
	}()
	return bell, nil
}
