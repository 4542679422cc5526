package bustest_test

import (
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

// waitForDeadLetter waits for the dead letter of the fact at a sequence.
func (s *testServer) waitForDeadLetter(t *testing.T, sequence uint64) *jetstream.RawStreamMsg {
	t.Helper()
	dead, err := s.js.Stream(t.Context(), events.StreamDead)
	if err != nil {
		t.Fatal(err)
	}
	var deadLetter *jetstream.RawStreamMsg
	eventually(t, "the dead letter", func() bool {
		deadLetter, err = dead.GetLastMsgForSubject(t.Context(), fmt.Sprintf("dead.%s.%d", events.StreamFacts, sequence))
		return err == nil
	})
	return deadLetter
}

// waitForDeadLetters waits until there are n dead letters, and returns them.
func (s *testServer) waitForDeadLetters(t *testing.T, n int) []deadletter.Letter {
	t.Helper()
	deadLetters := deadletter.New(s.conn)
	var all []deadletter.Letter
	eventually(t, "the dead letters", func() bool {
		all = nil
		if err := deadLetters.List(t.Context(), func(l deadletter.Letter) error {
			all = append(all, l)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return len(all) >= n
	})
	if count, err := deadLetters.Count(t.Context()); err != nil || count != n || len(all) != n {
		t.Fatalf("%d letters are listed and %d counted, want %d (%v)", len(all), count, n, err)
	}
	return all
}

// TestDeadLetterIsStoredBeforeTerm: the dead letter is stored before the message
// is terminated, so the server's advisory has a higher sequence.
func TestDeadLetterIsStoredBeforeTerm(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	seq := s.publishRaw(t, job("r1").Subject(), "junk", nil)
	s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error { return nil }))
	deadLetter := s.waitForDeadLetter(t, seq)
	dead, err := s.js.Stream(t.Context(), events.StreamDead)
	if err != nil {
		t.Fatal(err)
	}
	var advisory *jetstream.RawStreamMsg
	eventually(t, "the advisory", func() bool {
		advisory, err = dead.GetLastMsgForSubject(t.Context(), "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED."+events.StreamFacts+".>")
		return err == nil
	})
	if advisory.Sequence < deadLetter.Sequence {
		t.Errorf("the advisory is at %d, the dead letter at %d", advisory.Sequence, deadLetter.Sequence)
	}
	wantContains(t, "the reason in the advisory", string(advisory.Data), "finetune.requested")
	wantContains(t, "the reason in the dead letter", deadLetter.Header.Get(deadletter.HeaderReason), "finetune.requested")
	s.waitForSettled(t)
}

// TestDeadLetterOfAnyHeadersAndSize: a dead letter is stored although the
// original has headers that the server would check again, or a body of the
// largest size.
func TestDeadLetterOfAnyHeadersAndSize(t *testing.T) {
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
			s := newTestServer(t, topology.Topology{})
			seq := s.publishRaw(t, job("r1").Subject(), c.body, c.header)
			s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error { return nil }))
			deadLetter := s.waitForDeadLetter(t, seq)
			if !strings.HasPrefix(c.body, string(deadLetter.Data)) || c.cut == "" && string(deadLetter.Data) != c.body {
				t.Errorf("the dead letter has %d bytes, the message %d", len(deadLetter.Data), len(c.body))
			}
			wantEqual(t, "the length of the message in the header", deadLetter.Header.Get(deadletter.HeaderCut), c.cut)
			for k := range c.kept {
				wantEqual(t, "header "+k, deadLetter.Header.Get(k), c.kept.Get(k))
			}
			s.waitForSettled(t)
		})
	}
}

// TestDeadLetterOfUndecodableMessage: the dead letter has the body and the headers
// of the message, the reason, and the place of the original.
func TestDeadLetterOfUndecodableMessage(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	s.runRouter(t, s.conn, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		if d.Subject == job("r1").Subject() {
			t.Error("a message that cannot be decoded reached the handler")
		}
		return nil
	}))
	const body = "\x00 not an event"
	seq := s.publishRaw(t, job("r1").Subject(), body, nats.Header{"X-Own": {"kept"}})
	s.publish(t, job("r2"))
	deadLetter := s.waitForDeadLetter(t, seq)
	wantEqual(t, "the body", string(deadLetter.Data), body)
	for name, want := range map[string]string{
		"X-Own":                   "kept",
		deadletter.HeaderSubject:  job("r1").Subject(),
		deadletter.HeaderStream:   events.StreamFacts,
		deadletter.HeaderSequence: fmt.Sprint(seq),
	} {
		wantEqual(t, "header "+name, deadLetter.Header.Get(name), want)
	}
	if deadLetter.Header.Get(deadletter.HeaderReason) == "" {
		t.Error("the dead letter has no reason")
	}
}

// TestDeadLetterOfEachConsumer: two consumers that cannot handle a message store a
// dead letter each. A consumer that stores it again, because it died before it
// settled the message, stores no second one.
func TestDeadLetterOfEachConsumer(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	handle := func(context.Context, delivery.Delivery) error { return nil }
	routes := []delivery.Route{
		{Name: "deadline", Stream: events.StreamFacts, Consumer: topology.ConsumerDeadline, Handle: handle},
		{Name: "tracker", Stream: events.StreamFacts, Consumer: topology.ConsumerTracker, Handle: handle},
	}
	seq := s.publishRaw(t, events.PipelineAccepted{RunID: "r1"}.Subject(), "junk", nil)
	stop := s.runRouter(t, s.conn, routes...)
	by := map[string]bool{}
	for _, l := range s.waitForDeadLetters(t, 2) {
		by[l.Consumer] = true
		wantEqual(t, "the sequence of the original", l.Original, seq)
		wantEqual(t, "the stream", l.Stream, events.StreamFacts)
		wantEqual(t, "the run", l.Run, "r1")
		wantEqual(t, "the body", string(l.Body), "junk")
	}
	if !by[topology.ConsumerDeadline] || !by[topology.ConsumerTracker] {
		t.Errorf("the dead letters are of %v", by)
	}
	stop()
	for durable := range by { // a new consumer of this name gets the message again
		if err := s.js.DeleteConsumer(t.Context(), events.StreamFacts, durable); err != nil {
			t.Fatal(err)
		}
	}
	if err := topology.Apply(t.Context(), s.conn, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	s.runRouter(t, s.conn, routes...)
	settled := func(durable string) bool {
		c, err := s.js.Consumer(t.Context(), events.StreamFacts, durable)
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	}
	eventually(t, "both consumers have settled the message again", func() bool { return settled(topology.ConsumerDeadline) && settled(topology.ConsumerTracker) })
	s.waitForDeadLetters(t, 2)
}

// TestDeadLetterAtLastDelivery: a message that reaches the consumer's limit of
// deliveries becomes a dead letter with the last error, whatever error the
// handler returns.
func TestDeadLetterAtLastDelivery(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{"an error": errors.New("no luck"), "retry after": &delivery.RetryAfter{Err: errors.New("no luck")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, topology.Topology{})
			s.setMaxDeliver(t, 3)
			var n atomic.Int32
			route := jobRoute(func(context.Context, delivery.Delivery) error {
				n.Add(1)
				return result
			})
			route.NakDelay = time.Millisecond
			s.runRouter(t, s.conn, route)
			seq := s.publish(t, job("r1")).Sequence
			l := s.waitForDeadLetters(t, 1)[0]
			wantEqual(t, "deliveries", n.Load(), 3)
			wantEqual(t, "the sequence of the original", l.Original, seq)
			wantContains(t, "the reason", l.Reason, "3 times")
			wantContains(t, "the reason", l.Reason, "no luck")
			wantContains(t, "the body", string(l.Body), `"r1"`)
			s.waitForSettled(t)
		})
	}
}

// TestDeadLetterAfterRepeatedPanics: a message on which the handler panics five
// times becomes a dead letter, and the router goes on with other messages.
func TestDeadLetterAfterRepeatedPanics(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	var n atomic.Int32
	other := make(chan struct{})
	route := jobRoute(func(_ context.Context, d delivery.Delivery) error {
		if d.Event.(events.PhaseRequested).RunID == "r2" {
			close(other)
			return nil
		}
		n.Add(1)
		panic("nil pointer")
	})
	route.NakDelay = time.Millisecond
	s.runRouter(t, s.conn, route)
	s.publish(t, job("r1"))
	l := s.waitForDeadLetters(t, 1)[0]
	if n.Load() != 5 || !strings.Contains(l.Reason, "panicked 5 times: nil pointer") {
		t.Errorf("after %d panics: %s", n.Load(), l.Reason)
	}
	s.publish(t, job("r2"))
	<-other
	if !s.log.contains("handler panicked") || !s.log.contains("deadletter_test.go") {
		t.Error("the log does not name the place of the panic")
	}
}
