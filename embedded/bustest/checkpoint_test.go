package bustest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

// TestCheckpointsOnlyGoForward: an older attempt never replaces what a newer
// one saved or took, and nobody brings back what a completed phase dropped.
func TestCheckpointsOnlyGoForward(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Layout{})
	save := func(attempt int, step int64) error {
		_, _, err := b.bus.SaveCheckpoint(t.Context(), "r1", events.Finetune, bus.Checkpoint{Attempt: attempt, Step: step}, 1)
		return err
	}
	if _, err := b.bus.TakeCheckpoint(t.Context(), "r1", events.Finetune, 1); !errors.Is(err, bus.ErrNothing) {
		t.Errorf("taken where there is none: %v", err)
	}
	if err := errors.Join(save(1, 10), save(1, 20), save(2, 15)); err != nil {
		t.Fatal(err)
	}
	var lost *bus.LostError
	if err := save(1, 30); !errors.As(err, &lost) {
		t.Errorf("attempt 1 behind attempt 2: %v", err)
	}
	cp, err := b.bus.TakeCheckpoint(t.Context(), "r1", events.Finetune, 3)
	if err != nil || cp.Attempt != 3 || cp.Step != 15 {
		t.Errorf("%+v, %v", cp, err)
	}
	if err := save(2, 20); !errors.As(err, &lost) {
		t.Errorf("attempt 2 behind attempt 3: %v", err)
	}
	if _, err := b.bus.TakeCheckpoint(t.Context(), "r1", events.Finetune, 2); !errors.As(err, &lost) {
		t.Errorf("attempt 2 takes it back: %v", err)
	}
	for range 2 { // the second time there is nothing to do
		if err := b.bus.DeleteCheckpoint(t.Context(), "r1", events.Finetune); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.bus.LoadCheckpoint(t.Context(), "r1", events.Finetune); !errors.Is(err, bus.ErrNothing) {
		t.Errorf("after its deletion: %v", err)
	}
	if err := save(3, 25); !errors.As(err, &lost) {
		t.Errorf("saved after the phase was completed: %v", err)
	}
}

// TestCheckpointsAreKept: as many as are wanted, the newest first; who saves
// one learns which are too many.
func TestCheckpointsAreKept(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Layout{})
	steps := func(list []bus.Checkpoint) (out []int64) {
		for _, c := range list {
			out = append(out, c.Step)
		}
		return out
	}
	for _, c := range []struct {
		attempt       int
		step          int64
		keep          int
		kept, dropped []int64
	}{
		{1, 10, 3, []int64{10}, nil},
		{1, 20, 3, []int64{20, 10}, nil},
		{1, 30, 3, []int64{30, 20, 10}, nil},
		{1, 40, 3, []int64{40, 30, 20}, []int64{10}},
		{2, 35, 3, []int64{35, 30, 20}, []int64{40}}, // 40 was of no use to attempt 2
		{2, 45, 1, []int64{45}, []int64{35, 30, 20}},
	} {
		cp := bus.Checkpoint{Attempt: c.attempt, Step: c.step, Reference: events.Reference{Key: fmt.Sprint(c.step)}}
		_, dropped, err := b.bus.SaveCheckpoint(t.Context(), "r1", events.Finetune, cp, c.keep)
		if err != nil {
			t.Fatal(err)
		}
		now, err := b.bus.LoadCheckpoint(t.Context(), "r1", events.Finetune)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(steps(now.History()), c.kept) || !slices.Equal(steps(dropped), c.dropped) {
			t.Errorf("step %d: kept %v, dropped %v; want %v, %v", c.step, steps(now.History()), steps(dropped), c.kept, c.dropped)
		}
	}
}
