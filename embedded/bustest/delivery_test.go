package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
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

// TestDeadWorkersJobIsTakenOver: the connection of the holder breaks; another
// one gets the job after the ack wait.
func TestDeadWorkersJobIsTakenOver(t *testing.T) {
	t.Parallel()
	const ackWait = time.Second
	b := newBench(t, topology.Topology{AckWait: ackWait})
	proxy := bustest.NewProxy(t, b.server.URL())
	holds, release := make(chan struct{}), make(chan struct{})
	b.receive(t, b.connect(t, proxy.URL), jobs(func(ctx context.Context, _ delivery.Delivery) error {
		close(holds)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return delivery.ErrOwnershipLost
	}))
	b.publish(t, job("r1"))
	<-holds
	proxy.Cut()
	broken := time.Now()
	taken := make(chan int, 1)
	b.receive(t, b.bus, jobs(func(_ context.Context, d delivery.Delivery) error {
		taken <- d.Delivered
		return nil
	}))
	if n := <-taken; n != 2 {
		t.Errorf("it is delivery %d", n)
	}
	if took := time.Since(broken); took > ackWait+5*time.Second {
		t.Errorf("taken over after %s", took)
	}
	close(release)
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

// TestUndecodableIsBuried: the dead letter holds the message as it was, with
// the reason, before the message is given up.
func TestUndecodableIsBuried(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	b.receive(t, b.bus, jobs(func(_ context.Context, d delivery.Delivery) error {
		if d.Subject == job("r1").Subject() {
			t.Error("nobody can handle it")
		}
		return nil
	}))
	const body = "\x00 not an event"
	seq := b.raw(t, job("r1").Subject(), body, nats.Header{"X-Own": {"kept"}})
	b.publish(t, job("r2"))
	dead, err := b.js.Stream(t.Context(), events.StreamDead)
	if err != nil {
		t.Fatal(err)
	}
	subject := fmt.Sprintf("dead.%s.%d", events.StreamFacts, seq)
	eventually(t, "the dead letter", func() bool {
		_, err := dead.GetLastMsgForSubject(t.Context(), subject)
		return err == nil
	})
	letter, err := dead.GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	h := letter.Header
	if string(letter.Data) != body || h.Get("X-Own") != "kept" || h.Get(deadletter.HeaderReason) == "" ||
		h.Get(deadletter.HeaderSubject) != job("r1").Subject() || h.Get(deadletter.HeaderStream) != events.StreamFacts || h.Get(deadletter.HeaderSequence) != fmt.Sprint(seq) {
		t.Errorf("dead letter %q with %v", letter.Data, h)
	}
}

// TestNewerVersionIsGivenBack: it waits for a service that knows it, says so,
// holds nobody up, and becomes a dead letter only after its time.
func TestNewerVersionIsGivenBack(t *testing.T) {
	t.Parallel()
	newer := `{"specversion":"1.0","id":"x","source":"test","type":"finetune.requested","datacontenttype":"application/json",` +
		`"dataschema":"https://tunebus.dev/schemas/finetune.requested.v99.json","data":{"run_id":"r1","phase":"finetune","queue":"builtin"}}`
	header := nats.Header{"Content-Type": {"application/cloudevents+json"}}
	for name, limit := range map[string]time.Duration{"young": time.Hour, "old": time.Nanosecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{})
			seen := make(chan string, 1)
			route := jobs(func(_ context.Context, d delivery.Delivery) error {
				seen <- d.Event.(events.PhaseRequested).RunID
				return nil
			})
			route.HoldUnknownVersion = limit
			seq := b.raw(t, job("r1").Subject(), newer, header)
			b.publish(t, job("r2"))
			b.receive(t, b.bus, route)
			if run := <-seen; run != "r2" {
				t.Errorf("handled %s", run)
			}
			buried := func() bool {
				dead, err := b.js.Stream(t.Context(), events.StreamDead)
				if err != nil {
					t.Fatal(err)
				}
				_, err = dead.GetLastMsgForSubject(t.Context(), fmt.Sprintf("dead.%s.%d", events.StreamFacts, seq))
				return err == nil
			}
			if name == "old" {
				eventually(t, "the dead letter", buried)
				return
			}
			eventually(t, "a word in the log", func() bool { return b.log.has("a newer service may know it") })
			eventually(t, "one message waits", func() bool { u, _ := b.pending(t); return u == 1 })
			if buried() {
				t.Error("it is a dead letter already")
			}
		})
	}
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
