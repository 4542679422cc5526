package bustest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// letter waits for the dead letter of a fact.
func (b *bench) letter(t *testing.T, sequence uint64) *jetstream.RawStreamMsg {
	t.Helper()
	dead, err := b.js.Stream(t.Context(), events.StreamDead)
	if err != nil {
		t.Fatal(err)
	}
	var letter *jetstream.RawStreamMsg
	eventually(t, "the dead letter", func() bool {
		letter, err = dead.GetLastMsgForSubject(t.Context(), fmt.Sprintf("dead.%s.%d", events.StreamFacts, sequence))
		return err == nil
	})
	return letter
}

// TestLetterComesBeforeTheEnd: the copy is stored before the server is told
// that the message is given up, and its advisory lies behind the copy.
func TestLetterComesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	seq := b.raw(t, job("r1").Subject(), "junk", nil)
	b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error { return nil }))
	letter := b.letter(t, seq)
	dead, err := b.js.Stream(t.Context(), events.StreamDead)
	if err != nil {
		t.Fatal(err)
	}
	var advisory *jetstream.RawStreamMsg
	eventually(t, "the advisory", func() bool {
		advisory, err = dead.GetLastMsgForSubject(t.Context(), "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."+events.StreamFacts+".>")
		return err == nil
	})
	if advisory.Sequence < letter.Sequence {
		t.Errorf("given up at %d, copied at %d", advisory.Sequence, letter.Sequence)
	}
	if reason := letter.Header.Get(deadletter.HeaderReason); !bytes.Contains(advisory.Data, []byte("finetune.requested")) || !strings.Contains(reason, "finetune.requested") {
		t.Errorf("letter says %q, advisory %s", reason, advisory.Data)
	}
	eventually(t, "it is settled", func() bool { u, w := b.pending(t); return u == 0 && w == 0 })
}

// TestLettersThatAServerWouldRefuse: headers that were meant for the
// original's stream, and a body of the largest size, do not keep a letter
// from being stored.
func TestLettersThatAServerWouldRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body   string
		header nats.Header
		kept   nats.Header
		cut    string
	}{
		"a fence": {
			"junk", nats.Header{"Nats-Expected-Last-Subject-Sequence": {"0"}, "Nats-Msg-Id": {"mine"}},
			nats.Header{deadletter.HeaderPrefix + "Nats-Expected-Last-Subject-Sequence": {"0"}, deadletter.HeaderPrefix + "Nats-Msg-Id": {"mine"}}, "",
		},
		"its stream":       {"junk", nats.Header{"Nats-Expected-Stream": {events.StreamFacts}}, nats.Header{deadletter.HeaderPrefix + "Nats-Expected-Stream": {events.StreamFacts}}, ""},
		"the largest size": {strings.Repeat("x", 1<<20), nil, nil, fmt.Sprint(1 << 20)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{})
			seq := b.raw(t, job("r1").Subject(), c.body, c.header)
			b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error { return nil }))
			letter := b.letter(t, seq)
			if !strings.HasPrefix(c.body, string(letter.Data)) || letter.Header.Get(deadletter.HeaderCut) != c.cut || c.cut == "" && string(letter.Data) != c.body {
				t.Errorf("%d of %d bytes, cut from %q", len(letter.Data), len(c.body), letter.Header.Get(deadletter.HeaderCut))
			}
			for k := range c.kept {
				if letter.Header.Get(k) != c.kept.Get(k) {
					t.Errorf("header %s is %q", k, letter.Header.Get(k))
				}
			}
			eventually(t, "it is settled", func() bool { u, w := b.pending(t); return u == 0 && w == 0 })
		})
	}
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
