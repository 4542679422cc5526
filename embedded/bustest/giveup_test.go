package bustest_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// letters waits until there are so many dead letters and returns them.
func (b *bench) letters(t *testing.T, n int) []deadletter.Letter {
	t.Helper()
	var all []deadletter.Letter
	eventually(t, "the dead letters", func() bool {
		all = nil
		if err := deadletter.New(b.bus).List(t.Context(), func(l deadletter.Letter) error {
			all = append(all, l)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return len(all) >= n
	})
	if count, err := deadletter.New(b.bus).Count(t.Context()); err != nil || count != n || len(all) != n {
		t.Fatalf("%d letters are listed and %d counted, want %d (%v)", len(all), count, n, err)
	}
	return all
}

// deliverAtMost lets the fine-tuning queue deliver a job n times.
func (b *bench) deliverAtMost(t *testing.T, n int) jetstream.Consumer {
	t.Helper()
	c, err := b.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.MaxDeliver = n
	c, err = b.js.UpdateConsumer(t.Context(), events.StreamFacts, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEachConsumerHasItsLetter: two that give up one message leave a letter
// each; one that gives it up again, since it died before the server was told,
// leaves no second one.
func TestEachConsumerHasItsLetter(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	give := func(context.Context, delivery.Delivery) error { return nil }
	routes := []delivery.Route{
		{Name: "deadline", Stream: events.StreamFacts, Consumer: topology.ConsumerDeadline, Handle: give},
		{Name: "tracker", Stream: events.StreamFacts, Consumer: topology.ConsumerTracker, Handle: give},
	}
	seq := b.raw(t, events.PipelineAccepted{RunID: "r1"}.Subject(), "junk", nil)
	stop := b.receive(t, b.bus, routes...)
	by := map[string]bool{}
	for _, l := range b.letters(t, 2) {
		by[l.Consumer] = true
		if l.Original != seq || l.Stream != events.StreamFacts || l.Run != "r1" || string(l.Body) != "junk" {
			t.Errorf("letter %+v", l)
		}
	}
	if !by[topology.ConsumerDeadline] || !by[topology.ConsumerTracker] {
		t.Errorf("letters of %v", by)
	}
	stop()
	for durable := range by { // made anew, it delivers the message again
		if err := b.js.DeleteConsumer(t.Context(), events.StreamFacts, durable); err != nil {
			t.Fatal(err)
		}
	}
	if err := topology.Apply(t.Context(), b.bus, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	b.receive(t, b.bus, routes...)
	settled := func(durable string) bool {
		c, err := b.js.Consumer(t.Context(), events.StreamFacts, durable)
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	}
	eventually(t, "both gave it up again", func() bool { return settled(topology.ConsumerDeadline) && settled(topology.ConsumerTracker) })
	b.letters(t, 2)
}

// TestLastDelivery: what the server would never deliver again becomes a dead
// letter with the last error and the body, whatever the handler asks for.
func TestLastDelivery(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"an error": errors.New("no luck"), "later": &delivery.RetryAfter{Err: errors.New("no luck")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{})
			b.deliverAtMost(t, 3)
			var n atomic.Int32
			route := jobs(func(context.Context, delivery.Delivery) error {
				n.Add(1)
				return answer
			})
			route.NakDelay = time.Millisecond
			b.receive(t, b.bus, route)
			seq := b.publish(t, job("r1")).Sequence
			l := b.letters(t, 1)[0]
			if n.Load() != 3 || l.Original != seq || !strings.Contains(l.Reason, "3 times") || !strings.Contains(l.Reason, "no luck") || !strings.Contains(string(l.Body), `"r1"`) {
				t.Errorf("after %d deliveries: %+v", n.Load(), l)
			}
			eventually(t, "it is settled", func() bool { u, w := b.pending(t); return u == 0 && w == 0 })
		})
	}
}

// TestExhaustedWithoutAWord: workers that die or hang with a message in their
// hands leave nothing but the server's advisory; who reads that stores the
// letter. What somebody else's consumer gave up is none of it.
func TestExhaustedWithoutAWord(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{AckWait: time.Second})
	c := b.deliverAtMost(t, 2)
	foreign, err := b.js.CreateConsumer(t.Context(), events.StreamFacts, jetstream.ConsumerConfig{
		Durable: "foreign", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 100 * time.Millisecond, MaxDeliver: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	seq := b.publish(t, job("r1")).Sequence
	take := func(c jetstream.Consumer) {
		t.Helper()
		if _, err := c.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	take(foreign)
	take(c)
	take(c)
	b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error { return nil }), deadletter.New(b.bus).MaxDeliveriesRoute()) // the next look lets the server notice
	l := b.letters(t, 1)[0]
	if l.Original != seq || l.Consumer != topology.JobConsumer(events.Finetune, "builtin") || !strings.Contains(l.Reason, "never answered") || !strings.Contains(string(l.Body), `"r1"`) {
		t.Errorf("letter %+v", l)
	}
	eventually(t, "both advisories are dealt with", func() bool {
		c, err := b.js.Consumer(t.Context(), events.StreamDead, topology.ConsumerDeadLetters)
		if err != nil {
			t.Fatal(err)
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 && info.Delivered.Consumer >= 2
	})
	b.letters(t, 1)
}

// TestExhaustedInAQueueThatIsGone: a job leaves its letter also where the
// queue was removed before anybody heard of it, or was set up by a version
// whose queues took nothing back.
func TestExhaustedInAQueueThatIsGone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *bench, jetstream.ConsumerConfig){
		"removed": func(t *testing.T, b *bench, c jetstream.ConsumerConfig) {
			if err := b.js.DeleteConsumer(t.Context(), events.StreamFacts, c.Durable); err != nil {
				t.Fatal(err)
			}
		},
		"old": func(t *testing.T, b *bench, c jetstream.ConsumerConfig) {
			c.FilterSubjects = []string{events.JobFilter(events.Finetune, "builtin")}
			if _, err := b.js.UpdateConsumer(t.Context(), events.StreamFacts, c); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{AckWait: 100 * time.Millisecond})
			c := b.deliverAtMost(t, 1)
			seq := b.publish(t, job("r1")).Sequence
			if _, err := c.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			dead, err := b.js.Stream(t.Context(), events.StreamDead)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the server notices", func() bool {
				if msg, err := c.Next(jetstream.FetchMaxWait(50 * time.Millisecond)); err == nil {
					t.Fatalf("delivered again: %s", msg.Subject())
				}
				_, err := dead.GetLastMsgForSubject(t.Context(), "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>")
				return err == nil
			})
			change(t, b, c.CachedInfo().Config)
			b.receive(t, b.bus, deadletter.New(b.bus).MaxDeliveriesRoute())
			if l := b.letters(t, 1)[0]; l.Original != seq || l.Consumer != topology.JobConsumer(events.Finetune, "builtin") || l.Run != "r1" {
				t.Errorf("letter %+v", l)
			}
		})
	}
}

// TestPanicLoopEnds: a handler that panics on one message again and again
// gives it up, and goes on with the others.
func TestPanicLoopEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	var n atomic.Int32
	other := make(chan struct{})
	route := jobs(func(_ context.Context, d delivery.Delivery) error {
		if d.Event.(events.PhaseRequested).RunID == "r2" {
			close(other)
			return nil
		}
		n.Add(1)
		panic("a slip")
	})
	route.NakDelay = time.Millisecond
	b.receive(t, b.bus, route)
	b.publish(t, job("r1"))
	l := b.letters(t, 1)[0]
	if n.Load() != 5 || !strings.Contains(l.Reason, "panicked 5 times: a slip") {
		t.Errorf("after %d panics: %s", n.Load(), l.Reason)
	}
	b.publish(t, job("r2"))
	<-other
	if !b.log.has("handler panicked") || !b.log.has("giveup_test.go") {
		t.Error("the log does not say where it panicked")
	}
}
