package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestDeliveryHeartbeatsOfLongJob: a job that takes several ack waits is
// delivered once.
func TestDeliveryHeartbeatsOfLongJob(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{AckWait: time.Second})
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
	s.runRouter(t, s.conn, jobRoute(handle))
	s.runRouter(t, s.connect(t, s.server.URL()), jobRoute(handle))
	s.publish(t, job("r1"))
	<-done
	s.waitForSettled(t)
	if n := deliveries.Load(); n != 1 {
		t.Errorf("delivered %d times", n)
	}
}

// TestDeliveryErrOwnershipLostSendsNoReply: the router sends no ack, no nak and no
// heartbeat, so the message is delivered again after the ack wait.
func TestDeliveryErrOwnershipLostSendsNoReply(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{AckWait: time.Second})
	var deliveries atomic.Int32
	var first atomic.Int64
	second := make(chan time.Duration, 1)
	s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error {
		if deliveries.Add(1) == 1 {
			first.Store(time.Now().UnixNano())
			return delivery.ErrOwnershipLost
		}
		second <- time.Since(time.Unix(0, first.Load()))
		return nil
	}))
	s.publish(t, job("r1"))
	if after := <-second; after < 900*time.Millisecond || after > 6*time.Second {
		t.Errorf("delivered again after %s, want the ack wait of 1 s", after)
	}
}

// TestDeliveryOutcomes: the error of a handler decides whether and when the
// message is delivered again.
func TestDeliveryOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		err         error
		redelivered bool
		// between the first delivery and the second
		least, most time.Duration
	}{
		{"nil", nil, false, 0, 0},
		{"retry after", &delivery.RetryAfter{Delay: 700 * time.Millisecond, Err: errors.New("soon")}, true, 650 * time.Millisecond, 5 * time.Second},
		{"an error", errors.New("no"), true, 150 * time.Millisecond, 5 * time.Second},
		{"wrapped retry after", fmt.Errorf("outer: %w", &delivery.RetryAfter{Err: errors.New("now")}), true, 0, time.Second},
		{"dead letter", &delivery.DeadLetterError{Err: errors.New("for ever")}, false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, topology.Topology{AckWait: 20 * time.Second})
			times := make(chan time.Time, 2)
			var n atomic.Int32
			route := jobRoute(func(context.Context, delivery.Delivery) error {
				times <- time.Now()
				if n.Add(1) == 1 {
					return c.err
				}
				return nil
			})
			route.NakDelay = 200 * time.Millisecond
			s.runRouter(t, s.conn, route)
			s.publish(t, job("r1"))
			first := <-times
			if c.redelivered {
				if after := (<-times).Sub(first); after < c.least || after > c.most {
					t.Errorf("delivered again after %s, want %s to %s", after, c.least, c.most)
				}
			}
			s.waitForSettled(t)
		})
	}
}

// TestDeliveryPanicIsAnError: a panic of a handler fails the delivery, not the
// process.
func TestDeliveryPanicIsAnError(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	var n atomic.Int32
	route := jobRoute(func(context.Context, delivery.Delivery) error {
		if n.Add(1) == 1 {
			panic("nil pointer")
		}
		return nil
	})
	route.NakDelay = time.Millisecond
	s.runRouter(t, s.conn, route)
	s.publish(t, job("r1"))
	eventually(t, "the second delivery", func() bool { return n.Load() == 2 })
	s.waitForSettled(t)
}

// TestRouterShutdownIsBounded: a router that is stopped takes no more messages,
// waits for its handlers for the grace, and NAKs the messages of handlers that do
// not return.
func TestRouterShutdownIsBounded(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{AckWait: 30 * time.Second})
	working, release := make(chan struct{}), make(chan struct{})
	route := jobRoute(func(context.Context, delivery.Delivery) error {
		close(working)
		<-release // ignores its context
		return nil
	})
	route.Grace = 300 * time.Millisecond
	stop := s.runRouter(t, s.connect(t, s.server.URL()), route)
	s.publish(t, job("r1"))
	<-working
	again := make(chan int, 1)
	s.runRouter(t, s.conn, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		again <- d.Delivered
		return nil
	}))
	go func() {
		<-again // long before the ack wait
		close(release)
	}()
	if took := stop(); took > 10*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	select {
	case <-release:
	case <-time.After(10 * time.Second):
		t.Error("the job was not delivered again")
	}
}

// TestShutdownSaysNothingOfLostMessage: a handler that has lost its message and does
// not return gets no NAK at a shutdown, since that would act on the delivery of the
// new owner.
func TestShutdownSaysNothingOfLostMessage(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{AckWait: time.Second})
	nak := make(chan string, 1)
	if _, err := s.js.Conn().Subscribe("$JS.ACK."+events.StreamFacts+".>", func(m *nats.Msg) {
		if strings.HasPrefix(string(m.Data), "-NAK") {
			nak <- string(m.Data)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	working, release := make(chan struct{}), make(chan struct{})
	route := jobRoute(func(_ context.Context, d delivery.Delivery) error {
		d.StopHeartbeat()
		close(working)
		<-release // ignores its context
		return delivery.ErrOwnershipLost
	})
	route.Grace = 100 * time.Millisecond
	stop := s.runRouter(t, s.connect(t, s.server.URL()), route)
	s.publish(t, job("r1"))
	<-working
	owned, proceed := make(chan struct{}), make(chan struct{})
	s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error {
		close(owned)
		<-proceed
		return nil
	}))
	<-owned
	time.AfterFunc(10*route.Grace, func() { close(release) }) // long after the NAK that must not come
	stop()
	close(proceed)
	s.waitForSettled(t)
	select {
	case text := <-nak:
		t.Errorf("the server got %q", text)
	default:
	}
}

// TestDeliveryIgnoresOutcomeHeaders: only the handler's error settles a message, no
// header that the publisher sets.
func TestDeliveryIgnoresOutcomeHeaders(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	var deliveries atomic.Int32
	route := jobRoute(func(context.Context, delivery.Delivery) error {
		if deliveries.Add(1) == 1 {
			return errors.New("not now")
		}
		return nil
	})
	route.NakDelay = 1
	stored := s.publish(t, job("r1")) // for the body of an event
	facts, err := s.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := facts.GetMsg(t.Context(), stored.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if err := facts.DeleteMsg(t.Context(), stored.Sequence); err != nil {
		t.Fatal(err)
	}
	h := nats.Header{"Content-Type": copied.Header["Content-Type"], "tunebus_verdict": {"dead"}, "tunebus_reason": {"forged"}}
	s.publishRaw(t, copied.Subject, string(copied.Data), h)
	s.runRouter(t, s.conn, route)
	eventually(t, "the second delivery", func() bool { return deliveries.Load() == 2 })
	s.waitForSettled(t)
}
