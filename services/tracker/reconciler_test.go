package tracker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/publishing"
)

// storedFacts is the facts of one run, with sequences from 1.
type storedFacts []codec.Message

func stored(facts ...events.Fact) storedFacts {
	var h storedFacts
	for _, f := range facts {
		h = append(h, codec.Message{Event: f, Subject: f.Subject(), Sequence: uint64(len(h) + 1), Time: time.Now()})
	}
	return h
}

func (h storedFacts) Facts(context.Context, string) ([]codec.Message, error) { return h, nil }

// FactsThrough returns all facts, or tells that the wanted one is missing.
func (h storedFacts) FactsThrough(_ context.Context, _ string, sequence uint64) ([]codec.Message, error) {
	if sequence > uint64(len(h)) {
		return nil, fmt.Errorf("read it: %w", history.ErrBehind)
	}
	return h, nil
}

// fakeWriter counts its calls and returns one result.
type fakeWriter struct {
	calls           atomic.Int64
	tidied, removed []string
	result          written
	err             error
}

func (w *fakeWriter) writeAll(context.Context, projection.Snapshot) (written, error) {
	w.calls.Add(1)
	return w.result, w.err
}

// writes is how many runs were written.
func (w *fakeWriter) writes() int { return int(w.calls.Load()) }

func (w *fakeWriter) remove(_ context.Context, snapshot projection.Snapshot) (written, error) {
	w.removed = append(w.removed, snapshot.Run.ID)
	return written{}, w.err
}

func (w *fakeWriter) tidy(run events.Run) error {
	w.tidied = append(w.tidied, run.ID)
	return nil
}

// completions collects what is to be published.
type completions []completion

func (c *completions) enqueue(one completion) { *c = append(*c, one) }

// fixture is a reconciler with what it caused.
type fixture struct {
	reconciler
	completions completions
	dropped     int
}

func newFixture(facts liveFactReader, w writer) *fixture {
	b := &fixture{}
	b.reconciler = reconciler{
		facts:      facts,
		leases:     runLeases{withLease: (&takenLeases{}).withLease},
		writer:     w,
		completion: &b.completions,
		drop:       func(string) { b.dropped++ },
		published:  &publishing.News{},
		retry:      time.Minute,
		unknownFor: time.Hour,
		log:        slog.New(slog.DiscardHandler),
	}
	return b
}

var (
	accepted  = events.PipelineAccepted{RunID: "r"}
	completed = events.PipelineCompleted{RunID: "r", Conclusion: events.Success}
	tracked   = events.TrackingCompleted{RunID: "r"}
	cancelled = events.CancelRequested{RunID: "r"}
)

// TestReconcile: a run is written if a fact is newer than tracking.completed,
// and becomes tracked when it has ended.
func TestReconcile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		facts                      storedFacts
		writes, completes, dropped int
	}{
		"an unknown run":             {nil, 0, 0, 1},
		"a run that goes on":         {stored(accepted), 1, 0, 0},
		"a run that has ended":       {stored(accepted, completed), 1, 1, 1},
		"a tracked run":              {stored(accepted, completed, tracked), 0, 0, 1},
		"a late fact after tracking": {stored(accepted, completed, tracked, cancelled), 1, 0, 1},
	} {
		w := &fakeWriter{result: written{gaps: []string{"gap"}}}
		b := newFixture(c.facts, w)
		if err := b.reconcile(t.Context(), "r", 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if w.writes() != c.writes || len(b.completions) != c.completes || b.dropped != c.dropped {
			t.Errorf("%s: %d writes, %d completions, %d dropped", name, w.writes(), len(b.completions), b.dropped)
		}
		for _, done := range b.completions {
			if done.snapshot.FencingToken != 2 || len(done.written.gaps) != 1 {
				t.Errorf("%s: %+v", name, done)
			}
		}
	}
}

// TestReconcileRetries: a run that could not be written is asked for again,
// later if waiting alone may not help.
func TestReconcileRetries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		delay time.Duration
	}{
		{fmt.Errorf("create run: %w", mlflow.ErrUnavailable), time.Minute},
		{errors.New("refused"), 4 * time.Minute},
		{&pendingError{reports: errors.New("disk full")}, time.Minute},
		{&pendingError{mlflow: errors.New("refused")}, 4 * time.Minute},
		{&pendingError{reports: errors.New("disk full"), mlflow: errors.New("refused")}, time.Minute},
	} {
		b := newFixture(stored(accepted, completed), &fakeWriter{err: c.err})
		later, ok := errors.AsType[*delivery.RetryAfter](b.reconcile(t.Context(), "r", 0))
		if !ok || later.Delay != c.delay || !errors.Is(later, c.err) || len(b.completions) != 0 || b.dropped != 0 {
			t.Errorf("%v: %+v, %d completions, %d dropped", c.err, later, len(b.completions), b.dropped)
		}
	}
}

// TestReconcileAwaitsANewerTracker: a run with a fact of an unknown version
// becomes tracked only after a while.
func TestReconcileAwaitsANewerTracker(t *testing.T) {
	t.Parallel()
	facts := stored(accepted, completed, cancelled)
	facts[2].Event, facts[2].Unreadable = nil, &events.UnknownVersionError{}
	w := &fakeWriter{}
	b := newFixture(facts, w)
	later, ok := errors.AsType[*delivery.RetryAfter](b.reconcile(t.Context(), "r", 0))
	if !ok || later.Delay != 4*time.Minute || w.writes() != 1 || len(b.completions) != 0 {
		t.Errorf("at first: %+v, %d writes, %d completions", later, w.writes(), len(b.completions))
	}
	facts[2].Time = time.Now().Add(-2 * time.Hour)
	if err := b.reconcile(t.Context(), "r", 0); err != nil || len(b.completions) != 1 {
		t.Errorf("after a while: %v, %d completions", err, len(b.completions))
	}
}

// TestReconcileBesideALaggingCopy: a run is not written from facts that lack the newest one
// that is known, and is read again soon.
func TestReconcileBesideALaggingCopy(t *testing.T) {
	t.Parallel()
	w := &fakeWriter{}
	b := newFixture(stored(accepted), w)
	later, ok := errors.AsType[*delivery.RetryAfter](b.reconcile(t.Context(), "r", 2))
	if !ok || later.Delay != behindRetry || w.writes() != 0 {
		t.Errorf("%+v, %d writes", later, w.writes())
	}
	b.facts = stored(accepted, completed)
	if err := b.reconcile(t.Context(), "r", 2); err != nil || len(b.completions) != 1 {
		t.Errorf("once it is there: %v, %d completions", err, len(b.completions))
	}
}

// TestReconcileBesideAnotherTracker: nothing is written without the lease.
func TestReconcileBesideAnotherTracker(t *testing.T) {
	t.Parallel()
	w := &fakeWriter{}
	b := newFixture(stored(accepted), w)
	b.leases.withLease = (&takenLeases{taken: 1}).withLease
	if err := b.reconcile(t.Context(), "r", 0); !errors.Is(err, lease.ErrTaken) || w.writes() != 0 {
		t.Errorf("error %v, %d writes", err, w.writes())
	}
}

// TestPushesBeforeTracking: a run that asks for pushes is tracked once they are written, or
// took too long.
func TestPushesBeforeTracking(t *testing.T) {
	t.Parallel()
	model := events.Artifact{Name: events.ArtifactModel, Reference: events.Reference{Key: "m"}}
	for _, c := range []struct {
		ended           time.Duration
		pushed, tracked bool
	}{{0, false, false}, {0, true, true}, {time.Hour, false, true}} {
		facts := []events.Fact{
			events.PipelineAccepted{RunID: "r", Specification: events.Specification{FineTuner: events.FineTuner{PushToHub: true}}, Plan: []events.Step{{Phase: events.Finetune}}},
			events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 1, Conclusion: events.Success, Artifacts: []events.Artifact{model}},
			events.PipelineCompleted{RunID: "r", Conclusion: events.Success, EndedAt: time.Now().Add(-c.ended)},
		}
		if c.pushed {
			facts = append(facts, events.PublishedCompleted{RunID: "r", What: events.ProductModel, Attempt: 1, Outcome: events.Pushed})
		}
		f := newFixture(stored(facts...), &fakeWriter{})
		err := f.reconcile(t.Context(), "r", 0)
		later, waits := errors.AsType[*delivery.RetryAfter](err)
		if len(f.completions) == 1 != c.tracked || waits == c.tracked || waits && (later.Delay < 20*time.Second || later.Delay > 25*time.Second) {
			t.Errorf("%+v: %d completions, %v", c, len(f.completions), err)
		}
	}
}
