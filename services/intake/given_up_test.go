package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// oneLetter is a reader with one dead letter.
type oneLetter deadletter.Letter

func (l oneLetter) Get(_ context.Context, sequence uint64) (deadletter.Letter, error) {
	if sequence != l.Sequence {
		return deadletter.Letter{}, deadletter.ErrNotFound
	}
	return deadletter.Letter(l), nil
}

// handleLetter handles a dead letter and returns what was published.
func handleLetter(t *testing.T, letter deadletter.Letter, runs Runs) (*fakePublisher, error) {
	t.Helper()
	letter.Sequence, letter.Reason = 5, "the disk is gone"
	j := &fakePublisher{}
	g := &givenUp{letters: oneLetter(letter), runs: runs, publisher: j, log: slog.New(slog.DiscardHandler)}
	return j, g.handle(t.Context(), delivery.Delivery{Message: codec.Message{Sequence: 5}})
}

func jobLetter() deadletter.Letter {
	return deadletter.Letter{Stream: events.StreamFacts, Original: 3, Subject: "finetune.requested.r.builtin", Run: "r"}
}

func TestGivenUpJobFailsItsRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run     events.Run
		attempt int
	}{"queued": {queuedRun("r"), 1}, "running": {runningRun("r"), 2}} {
		j, err := handleLetter(t, jobLetter(), fakeRuns{"r": c.run})
		if err != nil || len(j.published) != 2 || len(j.followed) != 1 {
			t.Fatalf("%s: %v, published %+v, then %+v", name, err, j.published, j.followed)
		}
		started, completed := j.published[0].(events.PhaseStarted), j.published[1].(events.PhaseCompleted)
		if started.Attempt != c.attempt || completed.Attempt != c.attempt || started.Worker != "intake" {
			t.Errorf("%s: attempts %+v, %+v", name, started, completed)
		}
		if completed.Conclusion != events.Failure || completed.Error.Code != "dead_letter" ||
			!strings.Contains(completed.Error.Message, "the disk is gone") || !strings.Contains(completed.Error.Message, "dlq show 5") {
			t.Errorf("%s: completed %+v, %+v", name, completed, completed.Error)
		}
	}
}

// TestGivenUpJobThatCannotBeRead: the run ends although its job is unreadable.
func TestGivenUpJobThatCannotBeRead(t *testing.T) {
	t.Parallel()
	run := events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r", Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}}})
	j, err := handleLetter(t, jobLetter(), unreadableRun{run})
	if err != nil || len(j.published) != 2 || len(j.followed) != 1 {
		t.Errorf("%v, published %+v", err, j.published)
	}
}

// TestGivenUpJobWhosePlaceIsTaken: a fact that cannot be read holds the subject of
// the phase's completion or of its next attempt. The run ends all the same, but not
// before a process that was faster had its time.
func TestGivenUpJobWhosePlaceIsTaken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		runs      Runs
		delivered int
		ends      bool
	}{
		"first delivery":  {unreadableRun{queuedRun("r")}, 1, false},
		"fifth delivery":  {unreadableRun{queuedRun("r")}, 5, true},
		"all can be read": {fakeRuns{"r": queuedRun("r")}, 5, false},
	} {
		letter := jobLetter()
		letter.Sequence, letter.Reason = 5, "no CloudEvent"
		j := &fakePublisher{err: &journal.FencedError{}}
		g := &givenUp{letters: oneLetter(letter), runs: c.runs, publisher: j, log: slog.New(slog.DiscardHandler)}
		err := g.handle(t.Context(), delivery.Delivery{Message: codec.Message{Sequence: 5}, Delivered: c.delivered})
		_, again := errors.AsType[*delivery.RetryAfter](err)
		if again == c.ends || (len(j.followed) == 1) != c.ends {
			t.Errorf("%s: %v, followed %+v, want the end %t", name, err, j.followed, c.ends)
		}
	}
}

// unreadableRun is a run with a fact that is malformed.
type unreadableRun struct{ run events.Run }

func (r unreadableRun) Run(context.Context, string) (events.Run, error) {
	return r.run, &events.MalformedError{}
}

func TestGivenUpWithoutConsequences(t *testing.T) {
	t.Parallel()
	ended := runningRun("r")
	ended.Phases[events.Finetune].Completed = &events.PhaseCompleted{Conclusion: events.Success}
	for name, c := range map[string]struct {
		letter deadletter.Letter
		runs   Runs
	}{
		"phase completed": {jobLetter(), fakeRuns{"r": ended}},
		"other fact":      {deadletter.Letter{Stream: events.StreamFacts, Subject: "pipeline.accepted.r"}, fakeRuns{"r": queuedRun("r")}},
		"no fact":         {deadletter.Letter{Stream: events.StreamFacts, Subject: "x"}, fakeRuns{}},
	} {
		if j, err := handleLetter(t, c.letter, c.runs); err != nil || len(j.published) != 0 {
			t.Errorf("%s: %v, published %+v", name, err, j.published)
		}
	}
	if _, err := handleLetter(t, jobLetter(), failingRuns{io.EOF}); !errors.Is(err, io.EOF) {
		t.Errorf("a run that cannot be fetched: %v, want the error, so that the letter comes again", err)
	}
}

// TestGivenUpJobOfAnUnknownRun: the run of a job is looked for a few times, since a copy of
// the stream that lags behind may have answered.
func TestGivenUpJobOfAnUnknownRun(t *testing.T) {
	t.Parallel()
	for delivered := 1; delivered <= fencedTries; delivered++ {
		j, letter := &fakePublisher{}, jobLetter()
		letter.Sequence = 5
		g := &givenUp{letters: oneLetter(letter), runs: fakeRuns{}, publisher: j, log: slog.New(slog.DiscardHandler)}
		err := g.handle(t.Context(), delivery.Delivery{Message: codec.Message{Sequence: 5}, Delivered: delivered})
		_, again := errors.AsType[*delivery.RetryAfter](err)
		if again != (delivered < fencedTries) || len(j.published) != 0 {
			t.Errorf("delivery %d: %v, published %+v", delivered, err, j.published)
		}
	}
}

func TestGivenUpRequestIsRejected(t *testing.T) {
	t.Parallel()
	for body, id := range map[string]string{
		`{"run_id":"r"}`: "r", `{"specversion":"1.0","data":{"run_id":"r"}}`: "r", `{`: "", `{"run_id":"a b"}`: "",
	} {
		j, err := handleLetter(t, deadletter.Letter{Stream: events.StreamRequests, Original: 9, Body: []byte(body)}, fakeRuns{})
		if err != nil || len(j.published) != 1 {
			t.Fatalf("%s: %v, published %+v", body, err, j.published)
		}
		rejected := j.published[0].(events.PipelineRejected)
		if rejected.RequestSequence != 9 || rejected.RunID != id || !strings.Contains(rejected.Faults[0].Message, "the disk is gone") {
			t.Errorf("%s: rejected %+v", body, rejected)
		}
	}
	accepted := events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r", Lineage: events.Lineage{RequestSequence: 9}}})
	letter := deadletter.Letter{Stream: events.StreamRequests, Original: 9, Body: []byte(`{"run_id":"r"}`)}
	if j, err := handleLetter(t, letter, fakeRuns{"r": accepted}); err != nil || len(j.published) != 0 || len(j.followed) != 1 {
		t.Errorf("an accepted run: %v, published %+v, then %+v; want only the event that follows", err, j.published, j.followed)
	}
	rejecting := &givenUp{letters: oneLetter{Sequence: 5, Stream: events.StreamRequests}, runs: fakeRuns{},
		publisher: &fakePublisher{err: &journal.FencedError{}}, log: slog.New(slog.DiscardHandler)}
	if err := rejecting.handle(t.Context(), delivery.Delivery{Message: codec.Message{Sequence: 5}}); err != nil {
		t.Errorf("a request that was rejected before: %v", err)
	}
}
