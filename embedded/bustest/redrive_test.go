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

// jobOfUnknownVersion is a job of a newer version of the events.
func jobOfUnknownVersion(run string) (body string, header nats.Header) {
	return fmt.Sprintf(`{"specversion":"1.0","id":"x","source":"test","type":"finetune.requested","datacontenttype":"application/json",`+
			`"dataschema":"https://tunebus.dev/schemas/finetune.requested.v99.json","data":{"run_id":%q,"phase":"finetune","queue":"builtin"}}`, run),
		nats.Header{"Content-Type": {"application/cloudevents+json"}, "X-Own": {"kept"}}
}

// TestRedriveFact: a redriven fact is delivered once, unchanged, to the consumer
// that stored the dead letter and to no other. The history of the run does not
// change.
func TestRedriveFact(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	deadLetters := deadletter.New(s.conn)
	s.publish(t, events.PipelineAccepted{RunID: "r1"})
	s.publish(t, job("r1"))
	before, err := history.New(s.conn).Facts(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	stop := s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error {
		return &delivery.DeadLetterError{Err: errors.New("refused")}
	}))
	deadLetter := s.waitForDeadLetters(t, 1)[0]
	stop()
	seen := make(chan delivery.Delivery, 10)
	other := topology.JobConsumer(events.Finetune, "trl")
	s.runRouter(t, s.conn, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		seen <- d
		return nil
	}), delivery.Route{Name: "other", Stream: events.StreamFacts, Consumer: other, Handle: func(_ context.Context, d delivery.Delivery) error {
		t.Errorf("%s was delivered to another queue", d.Subject)
		return nil
	}})
	m, err := deadLetters.Redrive(t.Context(), deadLetter)
	if err != nil {
		t.Fatal(err)
	}
	d := <-seen
	if ev, ok := d.Event.(events.PhaseRequested); !ok || ev.RunID != "r1" {
		t.Errorf("the event is %+v", d.Event)
	}
	wantEqual(t, "the subject", d.Subject, job("r1").Subject())
	wantEqual(t, "the sequence", d.Sequence, m.Sequence)
	wantEqual(t, "the id", d.ID, before[1].ID)
	s.waitForDeadLetters(t, 0)
	again, err := deadLetters.Redrive(t.Context(), deadLetter) // as after a crash before the dead letter was removed
	if err != nil || again.Sequence != m.Sequence {
		t.Errorf("the second redrive: %+v, %v", again, err)
	}
	after, err := history.New(s.conn).Facts(t.Context(), "r1")
	if err != nil || len(after) != len(before) {
		t.Errorf("%d facts before, %d after (%v)", len(before), len(after), err)
	}
	s.waitForSettled(t)
	if len(seen) > 0 {
		t.Errorf("delivered again: %+v", <-seen)
	}
}

// TestRedriveOfSecondDeadLetter: a message that is redriven too early becomes a
// dead letter again, which can be redriven as well.
func TestRedriveOfSecondDeadLetter(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	deadLetters := deadletter.New(s.conn)
	s.publish(t, events.PipelineAccepted{RunID: "r1"})
	body, header := jobOfUnknownVersion("r1")
	s.publishRaw(t, job("r1").Subject(), body, header)
	route := jobRoute(func(_ context.Context, d delivery.Delivery) error {
		t.Errorf("handled %s", d.Subject)
		return nil
	})
	route.HoldUnknownVersion = time.Nanosecond
	s.runRouter(t, s.conn, route)
	first := s.waitForDeadLetters(t, 1)[0]
	if _, err := deadLetters.Redrive(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second dead letter", func() bool {
		n, err := deadLetters.Count(t.Context())
		return err == nil && n == 1
	})
	second := s.waitForDeadLetters(t, 1)[0]
	if second.Sequence == first.Sequence {
		t.Errorf("there is no second dead letter: %+v", second)
	}
	wantEqual(t, "the subject", second.Subject, first.Subject)
	wantEqual(t, "the body", string(second.Body), body)
	wantEqual(t, "the header of the message", second.Header["X-Own"][0], "kept")
	if _, err := deadLetters.Redrive(t.Context(), second); err != nil {
		t.Error(err)
	}
}

// TestRedriveRequest: a redriven request is stored again, with its body and
// headers. A dead letter is redriven once, although the server has forgotten the
// message ids by then.
func TestRedriveRequest(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	deadLetters := deadletter.New(s.conn)
	seq := s.publishRaw(t, events.TypePipelineRequested, `{"run_id":`, nats.Header{"X-Own": {"kept"}, "Nats-Msg-Id": {"mine"}})
	s.runRouter(t, s.conn, delivery.Route{Name: "intake", Stream: events.StreamRequests, Consumer: topology.ConsumerIntake, Handle: func(context.Context, delivery.Delivery) error { return nil }})
	deadLetter := s.waitForDeadLetters(t, 1)[0]
	if deadLetter.Original != seq || deadLetter.Run != "" {
		t.Errorf("dead letter %+v", deadLetter)
	}
	m, err := deadLetters.Redrive(t.Context(), deadLetter)
	if err != nil {
		t.Fatal(err)
	}
	requests, err := s.js.Stream(t.Context(), events.StreamRequests)
	if err != nil {
		t.Fatal(err)
	}
	got, err := requests.GetMsg(t.Context(), m.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if m.Sequence == seq {
		t.Error("the request was not stored again")
	}
	wantEqual(t, "the body", string(got.Data), string(deadLetter.Body))
	wantEqual(t, "the header of the message", got.Header.Get("X-Own"), "kept")
	wantEqual(t, "the header of the dead letter", got.Header.Get(deadletter.HeaderReason), "")
	if got.Header.Get("Nats-Msg-Id") == "mine" {
		t.Error("the request has its old message id")
	}
	cfg := requests.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := s.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has forgotten the message id", func() bool {
		probe := nats.NewMsg(events.TypePipelineRequested)
		probe.Header.Set("Nats-Msg-Id", m.ID)
		probe.Header.Set("Nats-Expected-Last-Sequence", "1") // always refused
		_, err := s.js.PublishMsg(t.Context(), probe)
		return err != nil && strings.Contains(err.Error(), "wrong last sequence")
	})
	again, err := deadLetters.Redrive(t.Context(), deadLetter)
	if err != nil || again.Sequence != m.Sequence {
		t.Errorf("the second redrive: %+v, %v", again, err)
	}
}

// TestRedriveTruncatedDeadLetter: the body of a truncated dead letter is read from
// the original message. Without the original it cannot be redriven.
func TestRedriveTruncatedDeadLetter(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	deadLetters := deadletter.New(s.conn)
	s.publish(t, events.PipelineAccepted{RunID: "r1"})
	body := strings.Repeat("x", 1<<20-100)
	seq := s.publishRaw(t, job("r1").Subject(), body, nats.Header{"X-Own": {"kept"}})
	s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error { return nil }))
	cut := s.waitForDeadLetters(t, 1)[0]
	if cut.Cut != len(body) || len(cut.Body) >= len(body) {
		t.Fatalf("the dead letter has %d of %d bytes", len(cut.Body), cut.Cut)
	}
	whole, err := deadLetters.Get(t.Context(), cut.Sequence)
	if err != nil || whole.Cut != 0 || string(whole.Body) != body {
		t.Errorf("with the original: %d bytes, cut %d, %v", len(whole.Body), whole.Cut, err)
	}
	facts, err := s.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	if err := facts.DeleteMsg(t.Context(), seq); err != nil {
		t.Fatal(err)
	}
	if again, err := deadLetters.Get(t.Context(), cut.Sequence); err != nil || again.Cut != len(body) {
		t.Errorf("without the original: cut %d, %v", again.Cut, err)
	}
	if _, err := deadLetters.Redrive(t.Context(), cut); err == nil || !strings.Contains(err.Error(), "can only be discarded") {
		t.Errorf("the redrive: %v", err)
	}
	s.waitForDeadLetters(t, 1)
	for range 2 { // the second time there is nothing to discard
		if err := deadLetters.Discard(t.Context(), cut.Sequence); err != nil {
			t.Error(err)
		}
	}
	if _, err := deadLetters.Get(t.Context(), cut.Sequence); !errors.Is(err, history.ErrNotFound) {
		t.Errorf("after the discard: %v", err)
	}
}

// TestRedriveRefusals: Redrive names the reason of a refusal, and the dead letter
// stays.
func TestRedriveRefusals(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	deadLetters := deadletter.New(s.conn)
	s.publishRaw(t, job("r1").Subject(), "junk", nil)
	s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error { return nil }))
	l := s.waitForDeadLetters(t, 1)[0]
	for name, c := range map[string]struct {
		change func(*deadletter.Letter)
		want   string
	}{
		"an archived run":     {func(*deadletter.Letter) {}, "archived"},
		"an unknown consumer": {func(l *deadletter.Letter) { l.Consumer = "gone" }, `consumer "gone" takes nothing back`},
		"another stream":      {func(l *deadletter.Letter) { l.Stream = events.StreamMetrics }, events.StreamMetrics},
		"no run":              {func(l *deadletter.Letter) { l.Run = "" }, "no subject of a fact"},
	} {
		changed := l
		c.change(&changed)
		if _, err := deadLetters.Redrive(t.Context(), changed); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that contains %q", name, err, c.want)
		}
	}
	s.waitForDeadLetters(t, 1)
}
