package trackertest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/services/tracker"
)

// all returns the facts of all runs, always in the same order.
func (r recording) all() []history.StoredFact {
	var out []history.StoredFact
	for _, run := range []string{"plain", "retried", "failed", "cancelled", "rerun"} {
		out = append(out, r.runs[run]...)
	}
	return out
}

// undisturbed returns the files of one tracker that receives all facts in order.
func undisturbed(t *testing.T, r recording) map[string]string {
	t.Helper()
	env := newEnv(t, r)
	env.publish(t, r.all()...)
	stop := env.startTracker(t, env.config(t), false)
	waitFor(t, "the undisturbed tracker", func() bool { return len(env.untracked(t)) == 0 })
	stop()
	return env.files(t)
}

// TestProjection: in the end MLflow, the reports and the list of runs are the
// same for every order of the facts and after every kill of a tracker.
func TestProjection(t *testing.T) {
	t.Parallel()
	r := recordRuns(t)
	want := undisturbed(t, r)
	for _, part := range []string{"pipeline_summary.json", "evaluator_output_detailed.xlsx", "metrics/loss", "tunebus.attempt.1", "runs.json"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(name string) bool { return strings.Contains(name, part) }) {
			t.Fatalf("the undisturbed tracker wrote no file like %s; this would test nothing", part)
		}
	}
	t.Run("out of order", func(t *testing.T) {
		for i := range 8 {
			seed := uint64(i)
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				t.Parallel()
				testOutOfOrder(t, r, want, seed)
			})
		}
	})
	t.Run("killed", func(t *testing.T) {
		for _, run := range []string{"plain", "retried", "failed", "cancelled", "rerun"} {
			t.Run(run, func(t *testing.T) {
				t.Parallel()
				testKilled(t, r, run)
			})
		}
	})
	t.Run("several trackers", func(t *testing.T) {
		t.Parallel()
		testSeveral(t, r, want)
	})
	t.Run("replayed", func(t *testing.T) {
		t.Parallel()
		testReplay(t, r, want)
	})
}

// testOutOfOrder publishes the facts in random order while a tracker works.
// NATS delivers each fact at once, and sometimes delivers all facts again. Only
// the end of a run comes after its other facts, as in the stream. The request to
// cancel may come after the end.
func testOutOfOrder(t *testing.T, r recording, want map[string]string, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	env := newEnv(t, r)
	stop := env.startTracker(t, env.config(t), true)
	facts := r.all()
	random.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
	var last []history.StoredFact
	for _, f := range facts {
		_, end := f.Event.(events.PipelineCompleted)
		_, cancel := f.Event.(events.CancelRequested)
		if end || cancel && random.IntN(2) == 0 {
			last = append(last, f)
			continue
		}
		env.publish(t, f)
		if random.IntN(20) == 0 {
			env.redeliver(t)
		}
	}
	env.publish(t, last...)
	env.redeliver(t)
	waitFor(t, "the tracker", func() bool { return len(env.untracked(t)) == 0 })
	if slices.ContainsFunc(last, func(f history.StoredFact) bool { _, cancel := f.Event.(events.CancelRequested); return cancel }) {
		// The request may have come after the run was tracked. Then the tracker
		// writes the run again.
		waitFor(t, "the request to cancel", func() bool {
			return strings.Contains(env.files(t)["reports/cancelled/pipeline_summary.json"], `"cancel"`)
		})
	}
	stop()
	expectSame(t, fmt.Sprint("seed ", seed), env.files(t), want)
}

// testSeveral lets three trackers share the work, with one consumer and one
// folder.
func testSeveral(t *testing.T, r recording, want map[string]string) {
	env := newEnv(t, r)
	var stops []func()
	for range 3 {
		stops = append(stops, env.startTracker(t, env.config(t), true))
	}
	env.publish(t, r.all()...)
	waitFor(t, "three trackers", func() bool { return len(env.untracked(t)) == 0 })
	for _, stop := range stops {
		stop()
	}
	expectSame(t, "three trackers", env.files(t), want)
}

// testReplay replays tracked runs, twice, and into an empty folder.
func testReplay(t *testing.T, r recording, want map[string]string) {
	env := newEnv(t, r)
	env.publish(t, r.all()...)
	stop := env.startTracker(t, env.config(t), true)
	waitFor(t, "the tracker", func() bool { return len(env.untracked(t)) == 0 })
	stop()
	replay := func(what string) {
		t.Helper()
		written := 0
		err := tracker.New(env.conn, env.store, env.config(t)).Replay(t.Context(), tracker.Replay{OnRun: func(one tracker.Rebuilt, _ int) {
			if one.Outcome == tracker.Written {
				written++
			}
		}})
		if err != nil || written != len(r.runs) {
			t.Errorf("%s: %d runs, %v", what, written, err)
		}
		expectSame(t, what, env.files(t), want)
	}
	replay("over the files")
	replay("once more")
	env.removeAll(t)
	replay("into an empty folder")
}
