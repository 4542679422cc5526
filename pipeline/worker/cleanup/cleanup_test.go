package cleanup_test

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
	"github.com/tunebus/tunebus/pipeline/worker/cleanup"
)

// slowRegistry holds no checkpoint, and does not answer at first.
type slowRegistry struct {
	checkpointing.Registry
	failures int // before it answers
}

func (r *slowRegistry) fail() error {
	if r.failures--; r.failures >= 0 {
		return errors.New("no leader")
	}
	return nil
}

// Load implements [checkpointing.Registry].
func (r *slowRegistry) Load(context.Context, string, events.Phase) (checkpoint.Checkpoint, error) {
	return checkpoint.Checkpoint{}, cmp.Or(r.fail(), checkpoint.ErrNone)
}

// Delete implements [checkpointing.Registry].
func (r *slowRegistry) Delete(context.Context, string, events.Phase) error { return r.fail() }

// keys are the keys of a store.
type keys []string

// List implements [cleanup.Store].
func (k *keys) List(context.Context, string) iter.Seq2[artifact.Object, error] {
	return func(yield func(artifact.Object, error) bool) {
		for _, key := range slices.Clone(*k) {
			if !yield(artifact.Object{Key: key}, nil) {
				return
			}
		}
	}
}

// Delete implements [cleanup.Store].
func (k *keys) Delete(_ context.Context, key string) error {
	*k = slices.DeleteFunc(*k, func(other string) bool { return other == key })
	return nil
}

// TestCleanerAsksTheRegistryAgain: the bucket of checkpoints may have no leader
// while the stream of facts has one. What the phase leaves behind goes once the
// bucket answers, and stays for the garbage collection if it does not in time.
func TestCleanerAsksTheRegistryAgain(t *testing.T) {
	t.Parallel()
	completed := events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 1}
	for name, c := range map[string]struct {
		failures, left int
	}{
		"answers at once": {0, 0},
		"answers later":   {10, 0},
		"does not answer": {1000, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for what, clean := range map[string]func(*cleanup.Cleaner){
					"phase":        func(c *cleanup.Cleaner) { c.Phase(t.Context(), completed) },
					"lost attempt": func(c *cleanup.Cleaner) { c.LostAttempt(t.Context(), "r", events.Finetune, 1) },
				} {
					store := &keys{"runs/r/finetune/1/checkpoint-2.tar"}
					registry := &slowRegistry{failures: c.failures}
					began := time.Now()
					clean(&cleanup.Cleaner{Registry: registry, Store: store, Patience: checkpointing.ElectionTime, Logger: slog.New(slog.DiscardHandler)})
					if len(*store) != c.left {
						t.Errorf("%s: left are %q", what, *store)
					}
					if took := time.Since(began); took > checkpointing.ElectionTime+time.Second {
						t.Errorf("%s: it took %s", what, took)
					}
				}
			})
		})
	}
}
