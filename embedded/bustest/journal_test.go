package bustest_test

import (
	"errors"
	"sync"
	"testing"

	"context"
	"strings"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

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

// TestFullStreamIsWaitedFor: a publisher meets a full stream with retries and
// a loud report, and loses nothing.
func TestFullStreamIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{FactBytes: 64 << 10})
	filler := strings.Repeat("x", 8<<10)
	for i := 0; ; i++ {
		_, err := b.js.Publish(t.Context(), events.AttemptEnded{RunID: "fill", Phase: events.Finetune, Attempt: i + 1}.Subject(), []byte(filler))
		if err != nil {
			break
		}
		if i > 100 {
			t.Fatal("the stream does not get full")
		}
	}
	big := events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: 1, Error: &events.Problem{Message: filler}}
	done := make(chan error, 1)
	go func() {
		_, err := journal.New(b.bus).Publish(t.Context(), big, journal.Fence{})
		done <- err
	}()
	eventually(t, "a loud report", func() bool { return b.log.has("the stream is full") })
	select {
	case err := <-done:
		t.Fatalf("it ended early: %v", err)
	default:
	}
	if err := topology.Apply(t.Context(), b.bus, topology.Topology{FactBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := history.New(b.bus).Latest(t.Context(), big.Subject()); err != nil {
		t.Error(err)
	}
}

// TestFullStreamEndsWithItsContext: nobody waits longer than they want to.
func TestFullStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{FactBytes: 2 << 10})
	big := events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: 1, Error: &events.Problem{Message: strings.Repeat("x", 4<<10)}}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := journal.New(b.bus).Publish(ctx, big, journal.Fence{})
	var lost *journal.FencedError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &lost) {
		t.Errorf("got %v, want the deadline", err)
	}
}

// TestLostAnswerIsReadBack: the server stored the event and the answer never
// came. The publisher finds its own event and is content.
func TestLostAnswerIsReadBack(t *testing.T) {
	t.Parallel()
	for name, fence := range map[string]journal.Fence{"no fence": {}, "first claim": journal.FenceAbsent(completed(1).Subject())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{})
			proxy := bustest.NewProxy(t, b.server.URL())
			client := b.connect(t, proxy.URL)
			proxy.Mute()
			done := make(chan error, 1)
			go func() {
				_, err := journal.New(client).Publish(t.Context(), started(1), fence)
				done <- err
			}()
			eventually(t, "the event is stored", func() bool {
				_, err := history.New(b.bus).Latest(t.Context(), started(1).Subject())
				return err == nil
			})
			proxy.Cut()
			proxy.Mend()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			run, err := history.New(b.bus).Run(t.Context(), "r1")
			if err != nil {
				t.Fatal(err)
			}
			if n := len(run.Phases[events.Finetune].Attempts); n != 1 {
				t.Errorf("%d attempts are stored", n)
			}
		})
	}
}

// TestTakenAttemptNumber: two workers that counted to the same attempt; the
// second one is told who was first.
func TestTakenAttemptNumber(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	fence := journal.FenceAbsent(completed(1).Subject())
	first, err := journal.New(b.bus).Publish(t.Context(), started(1), fence)
	if err != nil {
		t.Fatal(err)
	}
	other := started(1)
	other.Worker = "another"
	var lost *journal.FencedError
	if _, err := journal.New(b.bus).Publish(t.Context(), other, fence); !errors.As(err, &lost) || lost.Winner != first.ID {
		t.Fatalf("got %v, want %s as the winner", err, first.ID)
	}
	stored, err := history.New(b.bus).Latest(t.Context(), started(1).Subject())
	if err != nil || stored.Event.(events.PhaseStarted).Worker != "w" {
		t.Errorf("stored is %+v, %v", stored.Event, err)
	}
}

// TestPlaceTakenByBytes: what stands on a subject won, also if nobody can
// read it; its publisher does not try for ever.
func TestPlaceTakenByBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	b.raw(t, completed(1).Subject(), "\x00 no event", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for name, fence := range map[string]journal.Fence{"one-shot subject": {}, "fence": journal.FenceAbsent(completed(1).Subject())} {
		var lost *journal.FencedError
		ev := events.Event(completed(1))
		if name == "fence" {
			ev = started(1)
		}
		if _, err := journal.New(b.bus).Publish(ctx, ev, fence); !errors.As(err, &lost) {
			t.Errorf("%s: %v, want a LostError", name, err)
		}
	}
}
