package bustest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestCheckpointsOnlyGoForward: an older attempt never replaces what a newer
// one saved or took, and nobody brings back what a completed phase dropped.
func TestCheckpointsOnlyGoForward(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	save := func(attempt int, step int64) error {
		_, _, err := checkpoint.New(b.bus).Save(t.Context(), "r1", events.Finetune, checkpoint.Checkpoint{Attempt: attempt, Step: step}, 1)
		return err
	}
	if _, err := checkpoint.New(b.bus).Claim(t.Context(), "r1", events.Finetune, 1); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("taken where there is none: %v", err)
	}
	if err := errors.Join(save(1, 10), save(1, 20), save(2, 15)); err != nil {
		t.Fatal(err)
	}
	var lost *checkpoint.SupersededError
	if err := save(1, 30); !errors.As(err, &lost) {
		t.Errorf("attempt 1 behind attempt 2: %v", err)
	}
	cp, err := checkpoint.New(b.bus).Claim(t.Context(), "r1", events.Finetune, 3)
	if err != nil || cp.Attempt != 3 || cp.Step != 15 {
		t.Errorf("%+v, %v", cp, err)
	}
	if err := save(2, 20); !errors.As(err, &lost) {
		t.Errorf("attempt 2 behind attempt 3: %v", err)
	}
	if _, err := checkpoint.New(b.bus).Claim(t.Context(), "r1", events.Finetune, 2); !errors.As(err, &lost) {
		t.Errorf("attempt 2 takes it back: %v", err)
	}
	for range 2 { // the second time there is nothing to do
		if err := checkpoint.New(b.bus).Delete(t.Context(), "r1", events.Finetune); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := checkpoint.New(b.bus).Load(t.Context(), "r1", events.Finetune); !errors.Is(err, checkpoint.ErrNone) {
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
	b := newBench(t, topology.Topology{})
	steps := func(list []checkpoint.Checkpoint) (out []int64) {
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
		cp := checkpoint.Checkpoint{Attempt: c.attempt, Step: c.step, Reference: events.Reference{Key: fmt.Sprint(c.step)}}
		_, dropped, err := checkpoint.New(b.bus).Save(t.Context(), "r1", events.Finetune, cp, c.keep)
		if err != nil {
			t.Fatal(err)
		}
		now, err := checkpoint.New(b.bus).Load(t.Context(), "r1", events.Finetune)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(steps(now.History()), c.kept) || !slices.Equal(steps(dropped), c.dropped) {
			t.Errorf("step %d: kept %v, dropped %v; want %v, %v", c.step, steps(now.History()), steps(dropped), c.kept, c.dropped)
		}
	}
}
