package bustest_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

func started(attempt int) events.PhaseStarted {
	return events.PhaseStarted{RunID: "r1", Phase: events.Finetune, Attempt: attempt, Worker: "w"}
}

func completed(attempt int) events.PhaseCompleted {
	return events.PhaseCompleted{RunID: "r1", Phase: events.Finetune, Attempt: attempt, Conclusion: events.Success}
}

func TestPublishRaceHasOneWinner(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, bus.Layout{})
	const racers = 64
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			_, err := b.Publish(t.Context(), started(1), bus.IfNone(completed(1).Subject()))
			var le *bus.LostError
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
	b := bustest.New(t, bus.Layout{})
	filter := events.StartedFilter(events.Finetune, "r1")
	first, err := b.Publish(t.Context(), started(1), bus.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Publish(t.Context(), started(2), bus.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	var lost *bus.LostError
	if _, err := b.Publish(t.Context(), completed(1), bus.IfLast(filter, first.Sequence)); !errors.As(err, &lost) || lost.Winner != "" {
		t.Fatalf("stale token: %v, want a fallen fence", err)
	}
	if _, err := b.Publish(t.Context(), completed(2), bus.IfLast(filter, second.Sequence)); err != nil {
		t.Fatal(err)
	}
	// The same claim again is the same event: its publisher may not have
	// heard the answer.
	if _, err := b.Publish(t.Context(), completed(2), bus.IfLast(filter, second.Sequence)); err != nil {
		t.Fatalf("own event again: %v", err)
	}
	if _, err := b.Publish(t.Context(), started(3), bus.IfNone(completed(2).Subject())); !errors.As(err, &lost) {
		t.Fatalf("started after completed: %v, want a fallen fence", err)
	}
	run, err := b.Run(t.Context(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	if got := run.Phases[events.Finetune]; len(got.Attempts) != 2 || got.Completed == nil || got.Completed.Attempt != 2 {
		t.Errorf("run reads %+v", got)
	}
}

func TestRunOfNobodyIsEmpty(t *testing.T) {
	t.Parallel()
	b := bustest.New(t, bus.Layout{})
	msgs, err := b.Facts(t.Context(), "nobody")
	if err != nil || len(msgs) != 0 {
		t.Fatalf("got %v, %v", msgs, err)
	}
	if _, err := b.Last(t.Context(), "finetune.completed.nobody"); !errors.Is(err, bus.ErrNothing) {
		t.Fatalf("got %v, want ErrNothing", err)
	}
}
