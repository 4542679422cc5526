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
