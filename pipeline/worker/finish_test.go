package worker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/retry"
	"github.com/tunebus/tunebus/pipeline/worker/cleanup"
)

func newTestFinisher(streams *fakeStreams) (*finisher, *fakeRegistry, *fakeStore) {
	registry, store := &fakeRegistry{}, &fakeStore{}
	return &finisher{
		journal: streams,
		history: streams,
		cleaner: &cleanup.Cleaner{Registry: registry, Store: store, Logger: slog.New(slog.DiscardHandler)},
	}, registry, store
}

func endedBy(attempt int, reason events.EndReason) events.AttemptEnded {
	return events.AttemptEnded{RunID: "r", Phase: events.Finetune, Attempt: attempt, Reason: reason, Error: &events.Problem{Code: "x", Message: "x"}}
}

// TestFinisherConclude: each class leads to one fact and one way to settle the
// message.
func TestFinisherConclude(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	twoTries := []events.Fact{started(1), endedBy(1, events.EndError), started(2), endedBy(2, events.EndError)}
	for name, c := range map[string]struct {
		before     []events.Fact
		class      retry.Classification
		conclusion events.Conclusion // of the completed fact; empty: there is none
		reason     events.EndReason  // of the attempt_ended fact; empty: there is none
		settled    error             // the type counts
	}{
		"succeeded":            {nil, retry.Classification{Class: retry.ClassSucceeded}, events.Success, "", nil},
		"permanent":            {nil, retry.Classification{Class: retry.ClassPermanent, Err: broken}, events.Failure, "", nil},
		"cancelled":            {nil, retry.Classification{Class: retry.ClassCancelled}, events.Cancelled, "", nil},
		"retry":                {nil, retry.Classification{Class: retry.ClassRetry, Err: broken}, "", events.EndError, &delivery.RetryAfter{}},
		"retry, tries used up": {twoTries, retry.Classification{Class: retry.ClassRetry, Err: broken}, events.Failure, "", nil},
		"shutdown":             {nil, retry.Classification{Class: retry.ClassShutdown}, "", events.EndShutdown, &delivery.RetryAfter{}},
		"lost":                 {nil, retry.Classification{Class: retry.ClassLost}, "", events.EndLost, delivery.ErrOwnershipLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams := &fakeStreams{}
			f, _, _ := newTestFinisher(streams)
			a := newTestAttempt(&fakeRegistry{}, c.before...)
			a.token = 7
			a.lastStep.Store(5)
			x := &fakeExecution{res: engine.Result{Artifacts: []events.Artifact{{Name: events.ArtifactModel}}}}
			// What is published may wait for NATS, on the disk that the scratch folder fills.
			streams.refuse = func(events.Event) error {
				if !x.discarded && c.reason != events.EndLost {
					t.Error("the scratch folder is there while a fact is published")
				}
				return nil
			}
			err := f.conclude(t.Context(), a, x, c.class)
			if reflect.TypeOf(err) != reflect.TypeOf(c.settled) {
				t.Errorf("the message is settled by %v, want a %T", err, c.settled)
			}
			if !x.discarded {
				t.Error("the scratch folder stays")
			}
			if len(streams.published) != 1 {
				t.Fatalf("published %+v", streams.published)
			}
			switch fact := streams.published[0].(type) {
			case events.PhaseCompleted:
				if fact.Conclusion != c.conclusion || len(streams.next) != 1 {
					t.Errorf("completed with %q, %d next events; want %q", fact.Conclusion, len(streams.next), c.conclusion)
				}
				if _, model := fact.Artifact(events.ArtifactModel); model != (c.conclusion == events.Success) {
					t.Errorf("artifacts %+v", fact.Artifacts)
				}
				if (fact.Error != nil) != (c.class.Err != nil) {
					t.Errorf("error %+v", fact.Error)
				}
			case events.AttemptEnded:
				if fact.Reason != c.reason || fact.LastStep != 5 || len(streams.next) != 0 {
					t.Errorf("ended by %q at step %d; want %q", fact.Reason, fact.LastStep, c.reason)
				}
			default:
				t.Errorf("published %T", fact)
			}
			want := a.fence()
			if c.reason == events.EndLost {
				want = journal.Fence{} // the token is not the newest any more
			}
			if streams.fences[0] != want {
				t.Errorf("the fence is %+v, want %+v", streams.fences[0], want)
			}
		})
	}
}

// TestFinisherDelay: a shutdown has the job redelivered at once, an error after
// a delay that ends with the phase's timeout.
func TestFinisherDelay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		class     retry.Classification
		timeout   time.Duration
		low, high time.Duration
	}{
		"shutdown":             {retry.Classification{Class: retry.ClassShutdown}, 0, 0, 0},
		"error":                {retry.Classification{Class: retry.ClassRetry, Err: errors.New("x")}, 0, 5 * time.Second, 10 * time.Second},
		"error before timeout": {retry.Classification{Class: retry.ClassRetry, Err: errors.New("x")}, time.Second, 0, time.Second},
	} {
		f, _, _ := newTestFinisher(&fakeStreams{})
		a := newTestAttempt(&fakeRegistry{})
		a.policy.Timeout = c.timeout
		err := f.conclude(t.Context(), a, noExecution{}, c.class)
		later, ok := errors.AsType[*delivery.RetryAfter](err)
		if !ok || later.Delay < c.low || later.Delay > c.high {
			t.Errorf("%s: settled by %v, want a delay from %s to %s", name, err, c.low, c.high)
		}
	}
}

// TestFinisherRefused: an attempt whose publish is fenced off reads the run. If
// the phase is completed, it publishes the next event; if not, it sends the
// server no reply and deletes what it stored.
func TestFinisherRefused(t *testing.T) {
	t.Parallel()
	fenced := func(ev events.Event) error {
		if _, ok := ev.(events.PhaseCompleted); ok {
			return fmt.Errorf("publish: %w", &journal.FencedError{Subject: ev.Subject()})
		}
		return nil
	}
	completed := events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 2, Conclusion: events.Success}
	for name, c := range map[string]struct {
		run     events.Run
		readErr error
		token   uint64
		settled error
		next    int
		ended   int // attempt_ended facts
		left    int // artifacts of the attempt
	}{
		"completed by another": {events.Fold([]events.Fact{completed}), nil, 7, nil, 1, 0, 0},
		"owned by another":     {events.Fold([]events.Fact{started(1), started(2)}), nil, 7, delivery.ErrOwnershipLost, 0, 1, 0},
		"never claimed":        {events.Fold([]events.Fact{started(1)}), nil, 0, delivery.ErrOwnershipLost, 0, 0, 1},
		"unreadable":           {events.Run{}, errors.New("away"), 7, delivery.ErrOwnershipLost, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			streams := &fakeStreams{refuse: fenced, run: c.run, readErr: c.readErr}
			f, _, store := newTestFinisher(streams)
			store.keys = []string{"runs/r/finetune/1/model.tar"}
			a := newTestAttempt(&fakeRegistry{})
			a.token = c.token
			err := f.conclude(t.Context(), a, &fakeExecution{}, retry.Classification{Class: retry.ClassSucceeded})
			if !errors.Is(err, c.settled) || c.settled == nil && err != nil {
				t.Errorf("settled by %v, want %v", err, c.settled)
			}
			if len(streams.next) != c.next || len(streams.published) != c.ended || len(store.keys) != c.left {
				t.Errorf("%d next events, published %+v, artifacts %v", len(streams.next), streams.published, store.keys)
			}
		})
	}
	away := errors.New("the stream is full")
	streams := &fakeStreams{refuse: func(events.Event) error { return away }}
	f, _, _ := newTestFinisher(streams)
	if err := f.conclude(t.Context(), newTestAttempt(&fakeRegistry{}), &fakeExecution{}, retry.Classification{Class: retry.ClassSucceeded}); !errors.Is(err, away) {
		t.Errorf("another error is settled by %v", err)
	}
}

// TestFinisherCleansUp: a completed phase keeps the artifacts that its fact
// refers to, and no others. A first attempt without checkpoints that succeeds
// costs no look at the store.
func TestFinisherCleansUp(t *testing.T) {
	t.Parallel()
	model := events.Artifact{Name: events.ArtifactModel, Reference: events.Reference{Key: "runs/r/finetune/2/model.tar"}}
	for name, c := range map[string]struct {
		before  []events.Fact
		cleaned bool
	}{"first attempt": {nil, false}, "second attempt": {[]events.Fact{started(1)}, true}} {
		f, registry, store := newTestFinisher(&fakeStreams{})
		store.keys = []string{"runs/r/finetune/1/checkpoint-3.tar", model.Reference.Key}
		x := &fakeExecution{res: engine.Result{Artifacts: []events.Artifact{model}}}
		if err := f.conclude(t.Context(), newTestAttempt(registry, c.before...), x, retry.Classification{Class: retry.ClassSucceeded}); err != nil {
			t.Fatal(err)
		}
		if cleaned := registry.deleted == 1 && len(store.keys) == 1 && store.keys[0] == model.Reference.Key; cleaned != c.cleaned {
			t.Errorf("%s: registry deleted %d times, artifacts %v", name, registry.deleted, store.keys)
		}
	}
}

// TestFinisherKeepsTheLastLogs: of a job that failed many times, the logs of the last
// attempts stay with the phase, the others go, and a note says so.
func TestFinisherKeepsTheLastLogs(t *testing.T) {
	t.Parallel()
	streams := &fakeStreams{}
	f, registry, store := newTestFinisher(streams)
	var before []events.Fact
	log := func(attempt int) events.Artifact {
		return events.Artifact{Name: fmt.Sprintf("trainer-%d.log", attempt), Reference: events.Reference{Key: fmt.Sprintf("runs/r/finetune/%d/trainer.log", attempt)}}
	}
	for i := 1; i <= 30; i++ {
		ended := endedBy(i, events.EndError)
		ended.Artifacts = []events.Artifact{log(i)}
		before = append(before, started(i), ended)
		store.keys = append(store.keys, log(i).Reference.Key)
	}
	res := engine.Result{}
	for i := range 19 { // a trainer's most, with the model, its log and the metrics
		a := events.Artifact{Name: fmt.Sprint("a", i), Reference: events.Reference{Key: fmt.Sprintf("runs/r/finetune/31/a%d", i)}}
		res.Artifacts, store.keys = append(res.Artifacts, a), append(store.keys, a.Reference.Key)
	}
	if err := f.conclude(t.Context(), newTestAttempt(registry, before...), &fakeExecution{res: res}, retry.Classification{Class: retry.ClassSucceeded}); err != nil {
		t.Fatal(err)
	}
	done := events.Bound(streams.published[len(streams.published)-1]).(events.PhaseCompleted)
	var want []string
	for _, a := range res.Artifacts {
		want = append(want, a.Reference.Key)
	}
	for i := 26; i <= 30; i++ {
		want = append(want, log(i).Reference.Key)
	}
	var named []string
	for _, a := range done.Artifacts {
		named = append(named, a.Reference.Key)
	}
	if !slices.Equal(named, want) {
		t.Errorf("the fact names %q, want %q", named, want)
	}
	slices.Sort(want)
	slices.Sort(store.keys)
	if !slices.Equal(store.keys, want) {
		t.Errorf("the store keeps %q, want %q", store.keys, want)
	}
	if note := "the logs of the last 5 attempts that failed are kept; 25 of earlier ones are not"; !slices.Contains(done.Notes, note) {
		t.Errorf("the notes are %q, and lack %q", done.Notes, note)
	}
}

// TestFinisherSaysWhatIsLost: the end of an attempt says how many of its steps no checkpoint
// has, and a worker that stops warns of it, with what would help.
func TestFinisherSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resumed, saved, last, lost int64
	}{
		"no checkpoint":           {0, 0, 34, 34},
		"resumed":                 {24, 0, 34, 10},
		"resumed, no step":        {24, 0, 24, 0},
		"a checkpoint of its own": {0, 30, 34, 4},
		"the last step is in one": {24, 34, 34, 0},
	} {
		var said bytes.Buffer
		streams := &fakeStreams{}
		f, _, _ := newTestFinisher(streams)
		f.grace, f.lastCheckpoint = 10*time.Second, 4*time.Second
		a := newTestAttempt(&fakeRegistry{})
		a.log = slog.New(slog.NewTextHandler(&said, nil))
		a.beginsAt(c.resumed)
		a.lastStep.Store(c.last)
		if c.saved > 0 {
			if err := a.checkpoints.Save(t.Context(), c.saved, t.TempDir(), 0); err != nil {
				t.Fatal(err)
			}
		}
		_ = f.conclude(t.Context(), a, &fakeExecution{}, retry.Classification{Class: retry.ClassShutdown}) // asks for the message again
		ended, ok := streams.published[len(streams.published)-1].(events.AttemptEnded)
		if !ok || ended.LostSteps != c.lost || ended.LastStep != c.last {
			t.Errorf("%s: %+v, want %d steps lost", name, ended, c.lost)
		}
		warning := fmt.Sprintf("%d of the %d steps are made again", c.lost, c.last)
		if got := strings.Contains(said.String(), warning) && strings.Contains(said.String(), "had 4s; a longer services.finetune.grace"); got != (c.lost > 0) {
			t.Errorf("%s: it said %s", name, said.String())
		}
	}
}
