package bustest_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

func started(attempt int) events.PhaseStarted {
	return events.PhaseStarted{RunID: "r1", Phase: events.Finetune, Attempt: attempt, Worker: "w"}
}

func completed(attempt int) events.PhaseCompleted {
	return events.PhaseCompleted{RunID: "r1", Phase: events.Finetune, Attempt: attempt, Conclusion: events.Success}
}

func TestPublishRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, topology.Topology{})
	const racers = 64
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			_, err := journal.New(b).Publish(t.Context(), started(1), journal.FenceAbsent(completed(1).Subject()))
			var le *journal.FencedError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case errors.As(err, &le):
				lost++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != racers-1 {
		t.Errorf("won %d, lost %d; want 1 and %d", won, lost, racers-1)
	}
}

func TestPublishStaleTokenIsRefused(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, topology.Topology{})
	filter := events.StartedFilter(events.Finetune, "r1")
	first, err := journal.New(b).Publish(t.Context(), started(1), journal.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := journal.New(b).Publish(t.Context(), started(2), journal.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	var lost *journal.FencedError
	if _, err := journal.New(b).Publish(t.Context(), completed(1), journal.FenceLatest(filter, first.Sequence)); !errors.As(err, &lost) || lost.Winner != "" {
		t.Fatalf("stale token: %v, want a fallen fence", err)
	}
	if _, err := journal.New(b).Publish(t.Context(), completed(2), journal.FenceLatest(filter, second.Sequence)); err != nil {
		t.Fatal(err)
	}
	// The same claim again is the same event: its publisher may not have
	// heard the answer.
	if _, err := journal.New(b).Publish(t.Context(), completed(2), journal.FenceLatest(filter, second.Sequence)); err != nil {
		t.Fatalf("own event again: %v", err)
	}
	if _, err := journal.New(b).Publish(t.Context(), started(3), journal.FenceAbsent(completed(2).Subject())); !errors.As(err, &lost) {
		t.Fatalf("started after completed: %v, want a fallen fence", err)
	}
	run, err := history.New(b).Run(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Phases[events.Finetune]; len(got.Attempts) != 2 || got.Completed == nil || got.Completed.Attempt != 2 {
		t.Errorf("run reads %+v", got)
	}
}

func TestRunOfNobodyIsEmpty(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, topology.Topology{})
	msgs, err := history.New(b).Facts(t.Context(), "nobody")
	if err != nil || len(msgs) != 0 {
		t.Fatalf("got %v, %v", msgs, err)
	}
	if _, err := history.New(b).Latest(t.Context(), "finetune.completed.nobody"); !errors.Is(err, history.ErrNotFound) {
		t.Fatalf("got %v, want ErrNothing", err)
	}
}
