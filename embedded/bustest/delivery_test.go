package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestHeartbeatsKeepALongJob: a job of several ack waits is delivered once.
func TestHeartbeatsKeepALongJob(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{AckWait: time.Second})
	var deliveries atomic.Int32
	done := make(chan struct{})
	handle := func(ctx context.Context, _ delivery.Delivery) error {
		if deliveries.Add(1) > 1 {
			return nil
		}
		defer close(done)
		select {
		case <-time.After(3500 * time.Millisecond): // the length of the job is what is tested
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	b.receive(t, b.bus, jobs(handle))
	b.receive(t, b.connect(t, b.server.URL()), jobs(handle))
	b.publish(t, job("r1"))
	<-done
	eventually(t, "the ack", func() bool { n, w := b.pending(t); return n == 0 && w == 0 })
	if n := deliveries.Load(); n != 1 {
		t.Errorf("delivered %d times", n)
	}
}

// TestWhoLetsGoTellsTheServerNothing: neither an ack nor a nak nor a
// heartbeat follows, so that the ack wait alone decides.
func TestWhoLetsGoTellsTheServerNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{AckWait: time.Second})
	var deliveries atomic.Int32
	var first atomic.Int64
	second := make(chan time.Duration, 1)
	b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error {
		if deliveries.Add(1) == 1 {
			first.Store(time.Now().UnixNano())
			return delivery.ErrOwnershipLost
		}
		second <- time.Since(time.Unix(0, first.Load()))
		return nil
	}))
	b.publish(t, job("r1"))
	if after := <-second; after < 900*time.Millisecond || after > 6*time.Second {
		t.Errorf("it came again after %s, want the ack wait of 1 s", after)
	}
}

// TestVerdicts: what each answer of a handler makes of the message.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer error
		again  bool
		// between the first delivery and the second
		least, most time.Duration
	}{
		{"nil", nil, false, 0, 0},
		{"later", &delivery.RetryAfter{Delay: 700 * time.Millisecond, Err: errors.New("soon")}, true, 650 * time.Millisecond, 5 * time.Second},
		{"an error", errors.New("no"), true, 150 * time.Millisecond, 5 * time.Second},
		{"wrapped later", fmt.Errorf("outer: %w", &delivery.RetryAfter{Err: errors.New("now")}), true, 0, time.Second},
		{"dead", &delivery.DeadLetterError{Err: errors.New("for ever")}, false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{AckWait: 20 * time.Second})
			times := make(chan time.Time, 2)
			var n atomic.Int32
			route := jobs(func(context.Context, delivery.Delivery) error {
				times <- time.Now()
				if n.Add(1) == 1 {
					return c.answer
				}
				return nil
			})
			route.NakDelay = 200 * time.Millisecond
			b.receive(t, b.bus, route)
			b.publish(t, job("r1"))
			first := <-times
			if c.again {
				if after := (<-times).Sub(first); after < c.least || after > c.most {
					t.Errorf("it came again after %s, want %s to %s", after, c.least, c.most)
				}
			}
			eventually(t, "it is settled", func() bool { u, w := b.pending(t); return u == 0 && w == 0 })
		})
	}
}

// TestPanicIsAnError: a handler that panics costs this delivery, not the
// process.
func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	var n atomic.Int32
	route := jobs(func(context.Context, delivery.Delivery) error {
		if n.Add(1) == 1 {
			panic("a slip")
		}
		return nil
	})
	route.NakDelay = time.Millisecond
	b.receive(t, b.bus, route)
	b.publish(t, job("r1"))
	eventually(t, "the second delivery", func() bool { u, w := b.pending(t); return n.Load() == 2 && u == 0 && w == 0 })
}

// TestShutdownIsBounded: the receiver stops taking messages at once, lets a
// handler end within the grace, and gives back what does not end.
func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{AckWait: 30 * time.Second})
	holds, release := make(chan struct{}), make(chan struct{})
	route := jobs(func(context.Context, delivery.Delivery) error {
		close(holds)
		<-release // deaf to its context
		return nil
	})
	route.Grace = 300 * time.Millisecond
	stop := b.receive(t, b.connect(t, b.server.URL()), route)
	b.publish(t, job("r1"))
	<-holds
	again := make(chan int, 1)
	b.receive(t, b.bus, jobs(func(_ context.Context, d delivery.Delivery) error {
		again <- d.Delivered
		return nil
	}))
	go func() {
		<-again // given back long before the ack wait
		close(release)
	}()
	if took := stop(); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	select {
	case <-release:
	case <-time.After(10 * time.Second):
		t.Error("the job was not given back")
	}
}

// TestVerdictIsTheHandlers: headers of a message cannot say what becomes of
// it.
func TestVerdictIsTheHandlers(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	var deliveries atomic.Int32
	route := jobs(func(context.Context, delivery.Delivery) error {
		if deliveries.Add(1) == 1 {
			return errors.New("a slip")
		}
		return nil
	})
	route.NakDelay = 1
	stored := b.publish(t, job("elsewhere")) // its body is an event's
	dead, err := b.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := dead.GetMsg(t.Context(), stored.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.DeleteMsg(t.Context(), stored.Sequence); err != nil {
		t.Fatal(err)
	}
	h := nats.Header{"Content-Type": copied.Header["Content-Type"], "tunebus_verdict": {"dead"}, "tunebus_reason": {"forged"}}
	b.raw(t, copied.Subject, string(copied.Data), h)
	b.receive(t, b.bus, route)
	eventually(t, "the second delivery", func() bool { u, w := b.pending(t); return deliveries.Load() == 2 && u == 0 && w == 0 })
}
