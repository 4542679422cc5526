package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// newerJob is a job in a version that nobody knows yet.
func newerJob(run string) (body string, header nats.Header) {
	return fmt.Sprintf(`{"specversion":"1.0","id":"x","source":"test","type":"finetune.requested","datacontenttype":"application/json",`+
			`"dataschema":"https://tunebus.dev/schemas/finetune.requested.v99.json","data":{"run_id":%q,"phase":"finetune","queue":"builtin"}}`, run),
		nats.Header{"Content-Type": {"application/cloudevents+json"}, "X-Own": {"kept"}}
}

// TestFactIsHandedBack: to the consumer that gave it up and to no other, as
// what it was, once; the story of the run stays as it is.
func TestFactIsHandedBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	b.publish(t, events.PipelineAccepted{RunID: "r1"})
	b.publish(t, job("r1"))
	before, err := history.New(b.bus).Facts(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	stop := b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error {
		return &delivery.DeadLetterError{Err: errors.New("not by me")}
	}))
	letter := b.letters(t, 1)[0]
	stop()
	seen := make(chan delivery.Delivery, 10)
	other := topology.JobConsumer(events.Finetune, "trl")
	b.receive(t, b.bus, jobs(func(_ context.Context, d delivery.Delivery) error {
		seen <- d
		return nil
	}), delivery.Route{Name: "other", Stream: events.StreamFacts, Consumer: other, Handle: func(_ context.Context, d delivery.Delivery) error {
		t.Errorf("%s was delivered to another queue", d.Subject)
		return nil
	}})
	m, err := deadletter.New(b.bus).Redrive(t.Context(), letter)
	if err != nil {
		t.Fatal(err)
	}
	d := <-seen
	if ev, ok := d.Event.(events.PhaseRequested); !ok || ev.RunID != "r1" || d.Subject != job("r1").Subject() || d.Sequence != m.Sequence || d.ID != before[1].ID {
		t.Errorf("handed back: %+v", d)
	}
	b.letters(t, 0)
	again, err := deadletter.New(b.bus).Redrive(t.Context(), letter) // as after a crash before the letter was removed
	if err != nil || again.Sequence != m.Sequence {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	after, err := history.New(b.bus).Facts(t.Context(), "r1")
	if err != nil || len(after) != len(before) {
		t.Errorf("%d facts before, %d after (%v)", len(before), len(after), err)
	}
	eventually(t, "it is settled", func() bool { u, w := b.pending(t); return u == 0 && w == 0 })
	if len(seen) > 0 {
		t.Errorf("delivered again: %+v", <-seen)
	}
}

// TestGivenUpTwice: what is handed back too early becomes a letter again,
// which is handed back to the same place.
func TestGivenUpTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	b.publish(t, events.PipelineAccepted{RunID: "r1"})
	body, header := newerJob("r1")
	b.raw(t, job("r1").Subject(), body, header)
	route := jobs(func(_ context.Context, d delivery.Delivery) error {
		t.Errorf("handled %s", d.Subject)
		return nil
	})
	route.HoldUnknownVersion = time.Nanosecond
	b.receive(t, b.bus, route)
	first := b.letters(t, 1)[0]
	if _, err := deadletter.New(b.bus).Redrive(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second letter", func() bool {
		n, err := deadletter.New(b.bus).Count(t.Context())
		return err == nil && n == 1
	})
	second := b.letters(t, 1)[0]
	if second.Sequence == first.Sequence || second.Subject != first.Subject || string(second.Body) != body || second.Header["X-Own"][0] != "kept" {
		t.Errorf("letters %+v and %+v", first, second)
	}
	if _, err := deadletter.New(b.bus).Redrive(t.Context(), second); err != nil {
		t.Error(err)
	}
}

// TestRequestIsHandedBack: it is stored anew, with its own body and headers,
// and once for a letter also when the server has forgotten its ids.
func TestRequestIsHandedBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	seq := b.raw(t, events.TypePipelineRequested, `{"run_id":`, nats.Header{"X-Own": {"kept"}, "Nats-Msg-Id": {"mine"}})
	b.receive(t, b.bus, delivery.Route{Name: "desk", Stream: events.StreamRequests, Consumer: topology.ConsumerIntake, Handle: func(context.Context, delivery.Delivery) error { return nil }})
	letter := b.letters(t, 1)[0]
	if letter.Original != seq || letter.Run != "" {
		t.Errorf("letter %+v", letter)
	}
	m, err := deadletter.New(b.bus).Redrive(t.Context(), letter)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := b.js.Stream(t.Context(), events.StreamRequests)
	if err != nil {
		t.Fatal(err)
	}
	got, err := requests.GetMsg(t.Context(), m.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if m.Sequence == seq || string(got.Data) != string(letter.Body) || got.Header.Get("X-Own") != "kept" || got.Header.Get("Nats-Msg-Id") == "mine" || got.Header.Get(deadletter.HeaderReason) != "" {
		t.Errorf("stored at %d: %q with %v", m.Sequence, got.Data, got.Header)
	}
	cfg := requests.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has forgotten the id", func() bool {
		probe := nats.NewMsg(events.TypePipelineRequested)
		probe.Header.Set("Nats-Msg-Id", m.ID)
		probe.Header.Set("Nats-Expected-Last-Sequence", "1") // refused in any case
		_, err := b.js.PublishMsg(t.Context(), probe)
		return err != nil && strings.Contains(err.Error(), "wrong last sequence")
	})
	again, err := deadletter.New(b.bus).Redrive(t.Context(), letter)
	if err != nil || again.Sequence != m.Sequence {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

// TestCutLetter: a letter whose body was cut is read from where the original
// stands; without that it cannot be handed back.
func TestCutLetter(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	b.publish(t, events.PipelineAccepted{RunID: "r1"})
	body := strings.Repeat("x", 1<<20-100)
	seq := b.raw(t, job("r1").Subject(), body, nats.Header{"X-Own": {"kept"}})
	b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error { return nil }))
	cut := b.letters(t, 1)[0]
	if cut.Cut != len(body) || len(cut.Body) >= len(body) {
		t.Fatalf("%d of %d bytes are there", len(cut.Body), cut.Cut)
	}
	whole, err := deadletter.New(b.bus).Get(t.Context(), cut.Sequence)
	if err != nil || whole.Cut != 0 || string(whole.Body) != body {
		t.Errorf("read again: %d bytes, cut %d, %v", len(whole.Body), whole.Cut, err)
	}
	facts, err := b.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	if err := facts.DeleteMsg(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	if again, err := deadletter.New(b.bus).Get(t.Context(), cut.Sequence); err != nil || again.Cut != len(body) {
		t.Errorf("without the original: cut %d, %v", again.Cut, err)
	}
	if _, err := deadletter.New(b.bus).Redrive(t.Context(), cut); err == nil || !strings.Contains(err.Error(), "can only be discarded") {
		t.Errorf("handed back: %v", err)
	}
	b.letters(t, 1)
	for range 2 { // the second time it is gone already
		if err := deadletter.New(b.bus).Discard(t.Context(), cut.Sequence); err != nil {
			t.Error(err)
		}
	}
	if _, err := deadletter.New(b.bus).Get(t.Context(), cut.Sequence); !errors.Is(err, history.ErrNotFound) {
		t.Errorf("after its end: %v", err)
	}
}

// TestWhatNobodyTakesBack: each with the reason, and the letter stays.
func TestWhatNobodyTakesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	b.raw(t, job("r1").Subject(), "junk", nil)
	b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error { return nil }))
	l := b.letters(t, 1)[0]
	for name, c := range map[string]struct {
		change func(*deadletter.Letter)
		says   string
	}{
		"a run that left":   {func(*deadletter.Letter) {}, "archived"},
		"no such consumer":  {func(l *deadletter.Letter) { l.Consumer = "gone" }, `consumer "gone" takes nothing back`},
		"another stream":    {func(l *deadletter.Letter) { l.Stream = events.StreamMetrics }, events.StreamMetrics},
		"a subject without": {func(l *deadletter.Letter) { l.Run = "" }, "no subject of a fact"},
	} {
		one := l
		c.change(&one)
		if _, err := deadletter.New(b.bus).Redrive(t.Context(), one); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.letters(t, 1)
}
