package bustest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// laggingCopy is a second copy of the stream of facts, which answers a part of the direct
// gets as a replica in a cluster does. It is a mirror that loses the newest facts.
type laggingCopy struct {
	jetstream.Stream
	server *testServer
}

// addLaggingCopy adds a copy, and waits until it answers direct gets.
func addLaggingCopy(t *testing.T, s *testServer) laggingCopy {
	t.Helper()
	copied, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "COPY", Mirror: &jetstream.StreamSource{Name: events.StreamFacts}, MirrorDirect: true, AllowDirect: true, MaxBytes: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return laggingCopy{copied, s}
}

// lose has the copy lack a fact that the stream has.
func (l laggingCopy) lose(t *testing.T, sequence uint64) {
	t.Helper()
	eventually(t, "the copy has the fact", func() bool {
		return l.DeleteMsg(t.Context(), sequence) == nil
	})
}

// TestHistoryFactsThrough: facts that lack one that the leader has are no answer; one that
// was removed is not waited for.
func TestHistoryFactsThrough(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	l := addLaggingCopy(t, s)
	facts := indexedRun("r")
	for _, ev := range facts {
		s.publish(t, ev)
	}
	l.lose(t, 5)
	h := history.New(s.conn)
	old, full := 0, 0
	for deadline := time.Now().Add(10 * time.Second); (old == 0 || full == 0) && time.Now().Before(deadline); {
		got, err := h.FactsThrough(t.Context(), "r", 5)
		switch {
		case err == nil && len(got) == len(facts):
			full++
		case errors.Is(err, streams.ErrBehind):
			old++
		default:
			t.Fatalf("%d facts, %v", len(got), err)
		}
	}
	if old == 0 || full == 0 {
		t.Errorf("%d answers of the copy that lags behind, %d others", old, full)
	}
	for range 20 {
		if _, err := h.FactsThrough(t.Context(), "r", 6); err != nil { // nothing is stored there
			t.Fatal(err)
		}
	}
}

// TestRunIndexBesideALaggingCopy: the lines have every fact up to the newest one that they
// say they have, whichever copy of the stream answers.
func TestRunIndexBesideALaggingCopy(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	l := addLaggingCopy(t, s)
	x := runindex.New(s.conn)
	var want []string
	behind := 0
	for i := range 20 {
		id := "run" + string(rune('a'+i))
		facts := indexedRun(id)
		for _, ev := range facts[:3] {
			s.publish(t, ev)
		}
		updateBeside(t, x)
		if got := listed(t, x); !slices.Equal(got, append([]string{id + " running"}, want...)) {
			t.Fatalf("while %s goes on: %q", id, got)
		}
		for _, ev := range facts[3:] {
			l.lose(t, s.publish(t, ev).Sequence)
		}
		if got := listed(t, x); len(got) != i+1 { // beside the copy, and behind the lines
			t.Fatalf("before the lines of %s: %q", id, got)
		}
		behind += updateBeside(t, x)
		want = append([]string{id + " success"}, want...)
		if got := listed(t, x); !slices.Equal(got, want) {
			t.Fatalf("after %s: %q", id, got)
		}
	}
	if behind == 0 {
		t.Error("the copy that lags behind never answered")
	}
}

// updateBeside brings an index up to the newest fact, while a copy of the stream lags
// behind, and returns how many tries found that.
func updateBeside(t *testing.T, x *runindex.Index) (behind int) {
	t.Helper()
	for range 1000 {
		done, err := x.Update(t.Context())
		switch {
		case done:
			return behind
		case errors.Is(err, streams.ErrBehind):
			behind++
		case err != nil:
			t.Fatal(err)
		}
	}
	t.Fatal("the lines do not come up to the newest fact")
	return 0
}
