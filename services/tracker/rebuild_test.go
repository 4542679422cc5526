package tracker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// newRebuilder returns a rebuilder that publishes to s.
func newRebuilder(facts factReader, w writer, s *steps) *rebuilder {
	p, _ := newPublisher(s)
	return &rebuilder{
		facts:      facts,
		leases:     runLeases{withLease: (&takenLeases{}).withLease},
		writer:     w,
		isHome:     func(projection.Snapshot) bool { return true },
		list:       runlist.NewBuffer(""),
		completion: p,
	}
}

// TestRebuild: only runs that have ended are written, and only runs that are
// not tracked become tracked.
func TestRebuild(t *testing.T) {
	t.Parallel()
	requested := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	accepted := events.PipelineAccepted{RunID: "r", RequestedAt: requested}
	ended := stored(accepted, completed)
	for name, c := range map[string]struct {
		facts     storedFacts
		replay    Replay
		want      Rebuilt
		writes    int
		elsewhere bool
	}{
		"unknown":          {facts: nil, want: Rebuilt{Outcome: Unknown}},
		"open":             {facts: stored(accepted), want: Rebuilt{Outcome: Open}},
		"early":            {facts: ended, replay: Replay{Since: requested.Add(1)}, want: Rebuilt{Outcome: Early}},
		"dry run":          {facts: ended, replay: Replay{DryRun: true}, want: Rebuilt{Outcome: Written}},
		"not tracked":      {facts: ended, want: Rebuilt{Outcome: Written, Recorded: true}, writes: 1},
		"tracked":          {facts: stored(accepted, completed, tracked), want: Rebuilt{Outcome: Written}, writes: 1},
		"copied elsewhere": {facts: ended, want: Rebuilt{Outcome: Written}, writes: 1, elsewhere: true},
	} {
		w := &fakeWriter{}
		r := newRebuilder(c.facts, w, &steps{})
		r.isHome = func(projection.Snapshot) bool { return !c.elsewhere }
		got := r.rebuild(t.Context(), "r", c.replay)
		if got.Run != "r" || got.Outcome != c.want.Outcome || got.Recorded != c.want.Recorded || got.Err != nil || w.writes() != c.writes {
			t.Errorf("%s: %+v, %d writes", name, got, w.writes())
		}
	}
}

// TestRebuildThatFails: the error names the run, which does not become tracked.
func TestRebuildThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, r := range map[string]*rebuilder{
		"writing":    newRebuilder(stored(accepted, completed), &fakeWriter{err: broken}, &steps{}),
		"publishing": newRebuilder(stored(accepted, completed), &fakeWriter{}, &steps{publishErr: broken}),
	} {
		got := r.rebuild(t.Context(), "r", Replay{})
		if got.Outcome != Failed || got.Recorded || !errors.Is(got.Err, broken) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

type runIDs []string

func (ids runIDs) Accepted(context.Context) ([]string, error) { return ids, nil }

// TestAllRuns: a run that is in the stream and in the archive is listed once.
func TestAllRuns(t *testing.T) {
	t.Parallel()
	r := rebuilder{
		inStream: runIDs{"c", "b"},
		archived: func(context.Context) ([]string, error) { return []string{"a", "b"}, nil },
	}
	if ids, err := r.allRuns(t.Context()); err != nil || !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("%q, %v", ids, err)
	}
}
