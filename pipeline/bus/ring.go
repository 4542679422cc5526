package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// settling is when the bell has rung for the last time: core NATS shows a
// publish before the stream has stored it. Most are stored much sooner, so it
// rings in between, too.
const settling = 50 * time.Millisecond

func rings() []time.Duration {
	return []time.Duration{time.Millisecond, 5 * time.Millisecond, settling}
}

// Ring is a doorbell: the channel gets a value soon after something was
// published on one of the subjects, or the connection came back. Core NATS
// also shows publishes that the stream refused, and none of those that were
// published while the connection was down; so whoever hears the bell has to
// look at the stream. Rings that nobody hears in time become one. The
// subscription ends with ctx; the channel is never closed.
func (b *Bus) Ring(ctx context.Context, subjects ...string) (<-chan struct{}, error) {
	if b.life.Err() != nil {
		return nil, fmt.Errorf("listen: %w", nats.ErrConnectionClosed)
	}
	bell := make(chan struct{}, 1)
	ring := func() {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
	// The handlers only pass the sound on: none of them may hold up the
	// connection.
	heard := make(chan struct{}, 1)
	hear := func(*nats.Msg) {
		ring()
		select {
		case heard <- struct{}{}:
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
		s, err := b.nc.Subscribe(subject, hear)
		if err != nil {
			stop()
			return nil, fmt.Errorf("listen to %s: %w", subject, err)
		}
		subs = append(subs, s)
	}
	b.wg.Go(func() {
		defer stop()
		b.ringAgain(ctx, heard, ring)
	})
	return bell, nil
}

// ringAgain rings for what core NATS cannot show, until ctx or the bus ends.
func (b *Bus) ringAgain(ctx context.Context, heard <-chan struct{}, ring func()) {
	status := b.nc.StatusChanged(nats.CONNECTED)
	defer b.nc.RemoveStatusListener(status)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.life, cancel)()

	// What happened before the server knew of the subscriptions rang nowhere,
	// so the bell rings once as soon as it does. A flush fails only on a
	// connection that is down, and its return rings as well.
	flush, done := context.WithTimeout(ctx, 5*time.Second)
	if err := b.nc.FlushWithContext(flush); errors.Is(err, nats.ErrConnectionClosed) {
		done()
		return
	}
	done()
	ring()

	var next <-chan time.Time
	pauses := rings()
	at := 0       // which pause is running
	more := false // was heard while one was running, so it is not settled yet
	for {
		select {
		case <-ctx.Done():
			return
		case <-heard:
			if next == nil {
				at, next = 0, time.After(pauses[0])
			} else {
				more = true
			}
		case <-next:
			next = nil
			if at++; more {
				more, at = false, 0
			}
			if at < len(pauses) {
				next = time.After(pauses[at])
			}
			ring()
		case _, ok := <-status:
			if !ok { // the connection is closed for good
				return
			}
			ring()
		}
	}
}
