package standalone_test

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/tracker"
)

// failingBackend is a backend whose calls fail while failure is set.
type failingBackend struct {
	artifact.Backend
	failure atomic.Pointer[error] // nil: calls succeed
}

func (m *failingBackend) err() error {
	if err := m.failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (m *failingBackend) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	if err := m.err(); err != nil {
		_, _ = io.CopyN(io.Discard, r, 1) // a disk gets full in the middle of a file
		return err
	}
	return m.Backend.Put(ctx, key, mediaType, r)
}

func (m *failingBackend) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := m.err(); err != nil {
		return nil, err
	}
	return m.Backend.Get(ctx, key)
}

// useFailingStore gives the server a store whose calls can be made to fail.
func useFailingStore(t *testing.T, s *testServer) *failingBackend {
	t.Helper()
	const bucket = "failing"
	if err := objectstore.Create(t.Context(), s.bus, bucket, 64<<20); err != nil {
		t.Fatal(err)
	}
	objects, err := objectstore.Open(t.Context(), s.bus, bucket)
	if err != nil {
		t.Fatal(err)
	}
	m := &failingBackend{Backend: objects}
	if s.store, err = artifact.New(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWorkerWaitsForFullObjectStore: a job that cannot store its result keeps it,
// logs that, and stores it once the store has space. That uses up no attempt. A
// checkpoint is not retried.
func TestWorkerWaitsForFullObjectStore(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	const bucket = "small"
	if err := objectstore.Create(t.Context(), s.bus, bucket, 3<<20); err != nil {
		t.Fatal(err)
	}
	objects, err := objectstore.Open(t.Context(), s.bus, bucket)
	if err != nil {
		t.Fatal(err)
	}
	if s.store, err = artifact.New(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	nats, err := s.js.ObjectStore(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nats.PutBytes(t.Context(), "filler", make([]byte, 5<<19)); err != nil {
		t.Fatal(err)
	}
	s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		dir, err := job.Scratch("checkpoint")
		if err == nil {
			err = os.Mkdir(dir, 0o750)
		}
		body := make([]byte, 1<<20)
		_, _ = rand.Read(body) // documented to never fail
		for _, path := range []string{filepath.Join(dir, "weights"), dir + ".model"} {
			if err == nil {
				err = os.WriteFile(path, body, 0o600)
			}
		}
		if err == nil {
			err = job.Checkpoint(ctx, 1, dir, 1)
		}
		if err != nil {
			return engine.Result{}, err
		}
		a, err := job.PutFile(ctx, events.ArtifactModel, "text/plain", dir+".model")
		return engine.Result{Artifacts: []events.Artifact{a}}, err
	}, worker.Config{})
	s.accept(t, "r", nil, events.Finetune)
	eventually(t, "the full store is logged", func() bool { return s.log.hasLine("the artifact store is full or away", "run=r") })
	if !s.log.hasLine("checkpoint not saved", "step=1") {
		t.Error("the log does not show the checkpoint that was not saved")
	}
	if err := nats.Delete(t.Context(), "filler"); err != nil {
		t.Fatal(err)
	}
	run := s.ended(t, "r")
	p := run.Phases[events.Finetune]
	if run.Completed.Conclusion != events.Success || len(p.Attempts) != 1 {
		t.Errorf("ended %s after %d attempts", run.Completed.Conclusion, len(p.Attempts))
	}
	s.settled(t)
}

// TestWorkerWaitsForFullDisk: the same for a store in a folder, when an attempt
// reads the checkpoint from which it resumes.
func TestWorkerWaitsForFullDisk(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	disk := useFailingStore(t, s)
	full := error(syscall.ENOSPC)
	at6 := make(chan struct{})
	began := make(chan int64, 2)
	first := trainer{steps: 8, save: 4, began: began, atStep: blockAt(6, at6)}
	stop := s.worker(t, s.bus, first.Run, worker.Config{})
	s.accept(t, "r", nil, events.Finetune)
	<-at6
	disk.failure.Store(&full)
	stop() // the next attempt needs the checkpoint
	s.worker(t, s.bus, trainer{steps: 8, save: 4, began: began}.Run, worker.Config{})
	eventually(t, "the job waits for its checkpoint", func() bool { return s.log.hasLine("full or away", "fetch the checkpoint") })
	disk.failure.Store(nil)
	run := s.ended(t, "r")
	if run.Completed.Conclusion != events.Success || run.Phases[events.Finetune].Tries() != 0 {
		t.Errorf("ended %s, %d tries", run.Completed.Conclusion, run.Phases[events.Finetune].Tries())
	}
	if a, b := <-began, <-began; a != 0 || b != 4 {
		t.Errorf("the attempts began at %d and %d, want 0 and 4", a, b)
	}
}

// TestWorkerStoreRetryBudgetEnds: if the store stays unreachable, the attempt fails
// with an error that names the cause. A cancel does not wait for the store.
func TestWorkerStoreRetryBudgetEnds(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	disk := useFailingStore(t, s)
	full := error(syscall.ENOSPC)
	disk.failure.Store(&full)
	s.worker(t, s.bus, trainer{steps: 1}.Run, worker.Config{StoreRetryBudget: time.Millisecond})
	s.accept(t, "short", func(a *events.PipelineAccepted) { a.Specification.Pipeline.MaxTries = 1 }, events.Finetune)
	c := s.ended(t, "short").Phases[events.Finetune].Completed
	if c.Conclusion != events.Failure || c.Error == nil || !containsAll(c.Error.Message, "full or away", "no space left") {
		t.Errorf("ended %s: %+v", c.Conclusion, c.Error)
	}
	s.worker(t, s.bus, trainer{steps: 1}.Run, worker.Config{Phase: events.Inference})
	s.accept(t, "long", nil, events.Inference)
	eventually(t, "the job waits for the store", func() bool { return s.log.hasLine("full or away", "run=long") })
	asked := time.Now()
	s.publish(t, events.CancelRequested{RunID: "long"})
	if c := s.ended(t, "long").Completed; c.Conclusion != events.Cancelled {
		t.Errorf("ended %s", c.Conclusion)
	}
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("the cancel took %s", took)
	}
}

// TestWorkersAcrossLongServerOutage: NATS is down for longer than the ack wait, with
// two workers on one queue. The job is completed once, whichever worker owns it in
// the end, and every step is in the history once.
func TestWorkersAcrossLongServerOutage(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	at3 := make(chan struct{})
	var reached atomic.Bool
	engine := trainer{steps: 12, save: 4, atStep: func(ctx context.Context, step int64) error {
		if step == 3 && reached.CompareAndSwap(false, true) {
			close(at3)
		}
		select { // the duration of a step
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
		return nil
	}}
	for range 2 {
		s.worker(t, s.connect(t, s.server.URL()), engine.Run, worker.Config{Timing: worker.Timing{OwnershipCheckInterval: 200 * time.Millisecond}})
	}
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	<-at3
	s.restart(t, func() {
		outage := time.NewTimer(3 * ackWait)
		defer outage.Stop()
		<-outage.C
	})
	run := s.until(t, "r", "the next phase", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
	p := run.Phases[events.Finetune]
	if p.Completed.Conclusion != events.Success || p.Completed.Attempt != p.Attempts[len(p.Attempts)-1].Number {
		t.Errorf("completed by attempt %d of %d: %s", p.Completed.Attempt, len(p.Attempts), p.Completed.Conclusion)
	}
	steps := map[int64]int{}
	for _, point := range storedMetrics(t, s, p.Completed) {
		steps[point.Step]++
	}
	for step := int64(1); step <= 12; step++ {
		if steps[step] != 1 {
			t.Errorf("step %d is in the history %d times", step, steps[step])
		}
	}
	s.settled(t)
}

// TestTrackerAcrossLongMLflowOutage: runs start, work and end while the tracker
// cannot write. Once it can, it tracks all of them completely.
func TestTrackerAcrossLongMLflowOutage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	blocked := filepath.Join(dir, "mlruns")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // a file in the place of the folder
		t.Fatal(err)
	}
	const steps = 30
	e := noops()
	e[events.Finetune] = trainer{steps: steps, save: 10}
	l, err := standalone.Start(t.Context(), standalone.Config{
		RelaxedSync: true, Settings: trackedSettings(dir), Engines: e,
		Tracker: func(c *tracker.Config) { c.QuietPeriod, c.Retry = 20*time.Millisecond, 50*time.Millisecond },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	runs := []string{"r1", "r2", "r3"}
	for _, id := range runs {
		request(t, l, id, nil)
	}
	for _, id := range runs {
		if run := ended(t, l, id, false); run.Completed.Conclusion != events.Success || run.Tracked != nil {
			t.Errorf("%s ended %s, tracked %+v", id, run.Completed.Conclusion, run.Tracked)
		}
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	for _, id := range runs {
		if gaps := ended(t, l, id, true).Tracked.Gaps; len(gaps) > 0 {
			t.Errorf("%s has gaps: %v", id, gaps)
		}
		if n := lossLines(t, child(t, dir, id, "finetune")); n != steps {
			t.Errorf("%s: %d points, want %d", id, n, steps)
		}
	}
}

// TestWorkerWaitsForFullStream: a worker publishes its result once the stream has
// space.
func TestWorkerWaitsForFullStream(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	working, release := make(chan struct{}), make(chan struct{})
	s.worker(t, s.bus, trainer{steps: 3, atStep: func(_ context.Context, step int64) error {
		if step == 2 {
			close(working)
			<-release
		}
		return nil
	}}.Run, worker.Config{})
	s.accept(t, "r", nil, events.Finetune)
	<-working
	setMaxBytes := func(bytes int64) {
		t.Helper()
		stream, err := s.js.Stream(t.Context(), events.StreamFacts)
		if err != nil {
			t.Fatal(err)
		}
		cfg := stream.CachedInfo().Config
		if cfg.MaxBytes = bytes; bytes == 0 {
			cfg.MaxBytes = int64(stream.CachedInfo().State.Bytes)
		}
		if _, err := s.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	setMaxBytes(0) // the size that the stream has
	close(release)
	eventually(t, "the full stream is logged", func() bool { return s.log.hasLine("the stream is full or cannot store", "finetune.completed.r") })
	setMaxBytes(1 << 30)
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
	s.settled(t)
}

// containsAll reports whether a text contains all the words.
func containsAll(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// lossLines counts the points of the loss in the folder of an MLflow run.
func lossLines(t *testing.T, run string) int {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(run, "metrics", "loss"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(body), "\n")
}
