package trackertest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/services/tracker"
)

// all are the facts of every run, in an order that does not change.
func (r record) all() []history.StoredFact {
	var out []history.StoredFact
	for _, run := range []string{"plain", "retried", "failed", "cancelled", "again"} {
		out = append(out, r.runs[run]...)
	}
	return out
}

// undisturbed is what one tracker makes of all facts in their order.
func undisturbed(t *testing.T, r record) map[string]string {
	t.Helper()
	room := newRoom(t, r)
	room.feed(t, r.all()...)
	stop := room.run(t, room.config(t), false)
	waitFor(t, "the undisturbed tracker", func() bool { return len(room.untracked(t)) == 0 })
	stop()
	return room.walk(t)
}

// TestProjection: whatever happens to the facts and the trackers on the way,
// MLflow, the reports and the list of runs are the same in the end.
func TestProjection(t *testing.T) {
	t.Parallel()
	r := recorded(t)
	want := undisturbed(t, r)
	for _, part := range []string{"pipeline_summary.json", "evaluator_output_detailed.xlsx", "metrics/loss", "tunebus.attempt.1", "runs.json"} {
		if !slices.ContainsFunc(slices.Collect(mapKeys(want)), func(name string) bool { return strings.Contains(name, part) }) {
			t.Fatalf("nothing undisturbed is called %s; this would test nothing", part)
		}
	}
	t.Run("out of order", func(t *testing.T) {
		for i := range processes.Times(8, 3) {
			seed := uint64(i)
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				outOfOrder(t, r, want, seed)
			})
		}
	})
	t.Run("killed", func(t *testing.T) {
		for _, run := range []string{"plain", "retried", "failed", "cancelled", "again"} {
			t.Run(run, func(t *testing.T) {
				t.Parallel()
				killed(t, r, run)
			})
		}
	})
	t.Run("several trackers", func(t *testing.T) {
		t.Parallel()
		several(t, r, want)
	})
	t.Run("replayed", func(t *testing.T) {
		t.Parallel()
		again(t, r, want)
	})
}

// mapKeys are the names of what a room holds.
func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

// outOfOrder stores the facts in any order while a tracker works, which hears
// of them as they come, and of all of them again now and then. Only a run's end comes behind its
// facts, as it does in the stream, and not even that for the cancelled one's
// cancel.
func outOfOrder(t *testing.T, r record, want map[string]string, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 2))
	room := newRoom(t, r)
	stop := room.run(t, room.config(t), true)
	facts := r.all()
	dice.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	var ends []history.StoredFact
	for _, f := range facts {
		_, end := f.Event.(events.PipelineCompleted)
		_, late := f.Event.(events.CancelRequested)
		if end || late && dice.IntN(2) == 0 {
			ends = append(ends, f)
			continue
		}
		room.feed(t, f)
		if dice.IntN(20) == 0 {
			room.again(t)
		}
	}
	room.feed(t, ends...)
	room.again(t)
	waitFor(t, "the tracker", func() bool { return len(room.untracked(t)) == 0 })
	if slices.ContainsFunc(ends, func(f history.StoredFact) bool { _, late := f.Event.(events.CancelRequested); return late }) {
		// It may have come behind the tracking, which is told all the same.
		waitFor(t, "the late cancel", func() bool {
			return strings.Contains(room.walk(t)["reports/cancelled/pipeline_summary.json"], `"cancel"`)
		})
	}
	stop()
	same(t, fmt.Sprint("seed ", seed), room.walk(t), want)
}

// several lets three trackers share the work, on one durable and one folder.
func several(t *testing.T, r record, want map[string]string) {
	room := newRoom(t, r)
	var stops []func()
	for range 3 {
		stops = append(stops, room.run(t, room.config(t), true))
	}
	room.feed(t, r.all()...)
	waitFor(t, "three trackers", func() bool { return len(room.untracked(t)) == 0 })
	for _, stop := range stops {
		stop()
	}
	same(t, "three trackers", room.walk(t), want)
}

// again replays what was tracked, twice, and into an empty place.
func again(t *testing.T, r record, want map[string]string) {
	room := newRoom(t, r)
	room.feed(t, r.all()...)
	stop := room.run(t, room.config(t), true)
	waitFor(t, "the tracker", func() bool { return len(room.untracked(t)) == 0 })
	stop()
	replay := func(what string) {
		t.Helper()
		written := 0
		err := tracker.New(room.bus, room.store, room.config(t)).Replay(t.Context(), tracker.Replay{Told: func(one tracker.Rebuilt, _ int) {
			if one.Outcome == tracker.Written {
				written++
			}
		}})
		if err != nil || written != len(r.runs) {
			t.Errorf("%s: %d runs, %v", what, written, err)
		}
		same(t, what, room.walk(t), want)
	}
	replay("over what is there")
	replay("once more")
	room.clear(t)
	replay("into an empty place")
}
