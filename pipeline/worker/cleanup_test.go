package worker

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
)

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
				for what, clean := range map[string]func(*cleaner){
					"phase":        func(cl *cleaner) { cl.cleanPhase(t.Context(), completed) },
					"lost attempt": func(cl *cleaner) { cl.cleanLostAttempt(t.Context(), newTestAttempt(&fakeRegistry{})) },
				} {
					store := &fakeStore{keys: []string{"runs/r/finetune/1/checkpoint-2.tar"}}
					registry := &fakeRegistry{failures: c.failures, failure: errors.New("no leader")}
					began := time.Now()
					clean(&cleaner{registry: registry, store: store, patience: checkpointing.ElectionTime, log: slog.New(slog.DiscardHandler)})
					if len(store.keys) != c.left {
						t.Errorf("%s: left are %q", what, store.keys)
					}
					if took := time.Since(began); took > checkpointing.ElectionTime+time.Second {
						t.Errorf("%s: it took %s", what, took)
					}
				}
			})
		})
	}
}
