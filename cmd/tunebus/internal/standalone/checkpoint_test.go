package standalone_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// corrupt overwrites an artifact in the folder of the store.
func (s *testServer) corrupt(t *testing.T, key string) {
	t.Helper()
	path := filepath.Join(s.folder, filepath.FromSlash(key))
	if err := os.WriteFile(path, []byte("no checkpoint"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCheckpointDamagedFallsBack: the next attempt resumes from the newest checkpoint
// with the right digest. The store keeps as many checkpoints as the engine wants, and
// none after the end of the phase.
func TestCheckpointDamagedFallsBack(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.accept(t, "r", nil, events.Finetune)
	began := make(chan int64, 2)
	s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		e := trainer{steps: 9, save: 2, keep: 3, value: float64(job.Attempt), began: began}
		if job.Attempt == 1 {
			e.atStep = func(_ context.Context, step int64) error {
				if step < 9 {
					return nil
				}
				for step, want := range map[int]bool{2: false, 4: true, 6: true, 8: true} {
					key := fmt.Sprintf("runs/r/finetune/1/checkpoint-%d/manifest.json", step)
					if got := strings.Contains(strings.Join(s.keys(t, "r"), "\n"), key); got != want {
						t.Errorf("%s: there %t, want %t", key, got, want)
					}
					if step > 4 {
						s.corrupt(t, key)
					}
				}
				return errors.New("the attempt fails")
			}
		}
		return e.Run(ctx, job)
	}, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	if first, second := <-began, <-began; first != 0 || second != 4 {
		t.Errorf("began at %d and %d, want 0 and 4", first, second)
	}
	for _, step := range []string{"step=8", "step=6"} {
		if !s.log.hasLine("checkpoint unusable", step) {
			t.Errorf("the log does not show the unusable checkpoint at %s", step)
		}
	}
	got := map[int64]float64{}
	for _, pt := range storedMetrics(t, s, p.Completed) {
		if _, twice := got[pt.Step]; twice {
			t.Errorf("step %d is in the history twice", pt.Step)
		}
		got[pt.Step] = pt.Value
	}
	if len(got) != 9 || got[4] != 1 {
		t.Errorf("history: %v", got)
	}
	s.settled(t)
	for _, key := range s.keys(t, "r") {
		if !strings.HasPrefix(key, "runs/r/finetune/2/m") { // the model and the metrics
			t.Errorf("%s is left over", key)
		}
	}
}

// TestCheckpointOfStaleWorkerIsRefused: a worker that does not know yet that it was
// superseded cannot replace the checkpoint from which its successor resumes.
func TestCheckpointOfStaleWorkerIsRefused(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.accept(t, "r", nil, events.Finetune)
	at3, claimed := make(chan struct{}), make(chan struct{})
	saved := make(chan error, 1)
	s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		e := trainer{steps: 5, save: 2, keep: 1}
		if job.Attempt > 2 {
			return e.Run(ctx, job)
		}
		e.atStep = func(ctx context.Context, step int64) error {
			if step < 3 {
				return nil
			}
			close(at3)
			<-claimed
			saved <- e.checkpoint(context.WithoutCancel(ctx), job, step)
			return errors.New("the stale worker stops")
		}
		return e.Run(ctx, job)
	}, worker.Config{})
	<-at3
	if _, err := checkpoint.New(s.bus).Claim(t.Context(), "r", events.Finetune, 2); err != nil {
		t.Fatal(err)
	}
	s.publish(t, events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 2, Worker: "another"})
	close(claimed)
	var lost *checkpoint.SupersededError
	if err := <-saved; !errors.As(err, &lost) {
		t.Errorf("the stale worker's checkpoint: %v", err)
	}
	p := s.ended(t, "r").Phases[events.Finetune]
	if p.Attempts[2].Started.ResumedFrom != 2 || p.Completed.Conclusion != events.Success {
		t.Errorf("attempts %+v, completed %+v", p.Attempts, p.Completed)
	}
}

// TestWorkerCleansUpAfterKilledOwner: a worker was killed right after it had completed
// the phase. The next worker that gets the job deletes the artifacts and the
// checkpoint that are not needed any more.
func TestWorkerCleansUpAfterKilledOwner(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	put := func(name string) events.Reference {
		ref, err := s.store.Put(t.Context(), "runs/r/finetune/"+name, "text/plain", strings.NewReader(name))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	put("1/model.txt") // of an attempt that was killed before it could complete
	model := put("2/model.txt")
	if _, _, err := checkpoint.New(s.bus).Save(t.Context(), "r", events.Finetune, checkpoint.Checkpoint{Attempt: 2, Step: 4, Reference: put("2/checkpoint-4.tar")}, 1); err != nil {
		t.Fatal(err)
	}
	s.publish(t, events.PhaseCompleted{
		RunID: "r", Phase: events.Finetune, Attempt: 2, Conclusion: events.Success, StartedAt: time.Now(), EndedAt: time.Now(),
		Artifacts: []events.Artifact{{Name: events.ArtifactModel, Reference: model}},
	})
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	s.worker(t, s.bus, noWork(t), worker.Config{})
	s.settled(t)
	if keys := s.keys(t, "r"); len(keys) != 1 || keys[0] != model.Key {
		t.Errorf("left over: %v", keys)
	}
	if _, err := checkpoint.New(s.bus).Load(t.Context(), "r", events.Finetune); !errors.Is(err, checkpoint.ErrNone) {
		t.Errorf("its checkpoint: %v", err)
	}
}

// TestWorkerRemovesScratchOfKilledProcesses: a worker that takes a job over removes the
// scratch folders of processes that were killed, and none of running processes.
func TestWorkerRemovesScratchOfKilledProcesses(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.accept(t, "r", nil, events.Finetune)
	s.publish(t, events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1, Worker: "killed"})
	var folder atomic.Pointer[string]
	scratch := t.TempDir()
	killed := filepath.Join(scratch, "tunebus-scratch-inference-1")
	if err := os.MkdirAll(filepath.Join(killed, "model"), 0o750); err != nil {
		t.Fatal(err)
	}
	running, err := filelock.MkdirLocked(scratch, "tunebus-scratch-finetune-*")
	if err != nil {
		t.Fatal(err)
	}
	defer running.Close()
	s.worker(t, s.bus, func(_ context.Context, job *engine.Job) (engine.Result, error) {
		path, err := job.Scratch("x")
		folder.Store(&path)
		return engine.Result{}, err
	}, worker.Config{Scratch: scratch})
	s.ended(t, "r")
	s.settled(t)
	if _, err := os.Stat(killed); !os.IsNotExist(err) {
		t.Errorf("the folder of a killed process: %v", err)
	}
	if _, err := os.Stat(running.Name()); err != nil {
		t.Errorf("the folder of a running process: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(*folder.Load())); !os.IsNotExist(err) {
		t.Errorf("its own folder: %v", err)
	}
}
