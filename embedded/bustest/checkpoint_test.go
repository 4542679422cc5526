package bustest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// superseded reports whether a newer attempt owns the entry, or the phase was
// completed.
func superseded(err error) bool {
	_, ok := errors.AsType[*checkpoint.SupersededError](err)
	return ok
}

// TestCheckpointOlderAttemptIsSuperseded: an older attempt never replaces the
// entry that a newer attempt saved or claimed, and no attempt brings back the
// entry of a completed phase.
func TestCheckpointOlderAttemptIsSuperseded(t *testing.T) {
	t.Parallel()
	registry := checkpoint.New(newTestServer(t, topology.Topology{}).conn)
	save := func(attempt int, step int64) error {
		_, _, err := registry.Save(t.Context(), "r1", events.Finetune, checkpoint.Checkpoint{Attempt: attempt, Step: step}, 1)
		return err
	}
	if _, err := registry.Claim(t.Context(), "r1", events.Finetune, 1); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("a claim without an entry: %v", err)
	}
	if err := errors.Join(save(1, 10), save(1, 20), save(2, 15)); err != nil {
		t.Fatal(err)
	}
	if err := save(1, 30); !superseded(err) {
		t.Errorf("attempt 1 saves after attempt 2: %v", err)
	}
	cp, err := registry.Claim(t.Context(), "r1", events.Finetune, 3)
	if err != nil || cp.Attempt != 3 || cp.Step != 15 {
		t.Errorf("%+v, %v", cp, err)
	}
	if err := save(2, 20); !superseded(err) {
		t.Errorf("attempt 2 saves after attempt 3: %v", err)
	}
	if _, err := registry.Claim(t.Context(), "r1", events.Finetune, 2); !superseded(err) {
		t.Errorf("attempt 2 claims after attempt 3: %v", err)
	}
	for range 2 { // the second time there is nothing to do
		if err := registry.Delete(t.Context(), "r1", events.Finetune); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := registry.Load(t.Context(), "r1", events.Finetune); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("a load after the deletion: %v", err)
	}
	if err := save(3, 25); !superseded(err) {
		t.Errorf("a save after the phase was completed: %v", err)
	}
}

// TestCheckpointSaveRetention: the entry holds as many checkpoints as the saver
// keeps, the newest first, and Save returns the checkpoints that it dropped.
func TestCheckpointSaveRetention(t *testing.T) {
	t.Parallel()
	registry := checkpoint.New(newTestServer(t, topology.Topology{}).conn)
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
		kept, dropped []int64 // steps
	}{
		{1, 10, 3, []int64{10}, nil},
		{1, 20, 3, []int64{20, 10}, nil},
		{1, 30, 3, []int64{30, 20, 10}, nil},
		{1, 40, 3, []int64{40, 30, 20}, []int64{10}},
		{2, 35, 3, []int64{35, 30, 20}, []int64{40}}, // attempt 2 did not resume from 40
		{2, 45, 1, []int64{45}, []int64{35, 30, 20}},
	} {
		cp := checkpoint.Checkpoint{Attempt: c.attempt, Step: c.step, Reference: events.Reference{Key: fmt.Sprint(c.step)}}
		_, dropped, err := registry.Save(t.Context(), "r1", events.Finetune, cp, c.keep)
		if err != nil {
			t.Fatal(err)
		}
		now, err := registry.Load(t.Context(), "r1", events.Finetune)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(steps(now.History()), c.kept) || !slices.Equal(steps(dropped), c.dropped) {
			t.Errorf("step %d: kept %v, dropped %v; want %v, %v", c.step, steps(now.History()), steps(dropped), c.kept, c.dropped)
		}
	}
}

// TestCheckpointSaveRace: many attempts save at the same time. In the end the
// entry is the newest attempt's.
func TestCheckpointSaveRace(t *testing.T) {
	t.Parallel()
	registry := checkpoint.New(newTestServer(t, topology.Topology{}).conn)
	const newest = 8
	var wg sync.WaitGroup
	for attempt := range newest {
		wg.Go(func() {
			for step := range int64(3) {
				// An older attempt may be superseded; another test covers that.
				_, _, err := registry.Save(t.Context(), "r1", events.Finetune, checkpoint.Checkpoint{Attempt: attempt + 1, Step: step}, 1)
				if err != nil && attempt+1 == newest {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cp, err := registry.Load(t.Context(), "r1", events.Finetune)
	if err != nil || cp.Attempt != newest || cp.Step != 2 {
		t.Errorf("%+v, %v", cp, err)
	}
}
