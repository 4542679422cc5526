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

// moody is a backend that refuses what it is asked while it is in a mood.
type moody struct {
	artifact.Backend
	mood atomic.Pointer[error] // nil: it does what it is asked
}

func (m *moody) refusal() error {
	if err := m.mood.Load(); err != nil {
		return *err
	}
	return nil
}

func (m *moody) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	if err := m.refusal(); err != nil {
		_, _ = io.CopyN(io.Discard, r, 1) // a disk is full in the middle
		return err
	}
	return m.Backend.Put(ctx, key, mediaType, r)
}

func (m *moody) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := m.refusal(); err != nil {
		return nil, err
	}
	return m.Backend.Get(ctx, key)
}

// onMoodyStore gives a workshop a store that can be put into a mood.
func onMoodyStore(t *testing.T, s *workshop) *moody {
	t.Helper()
	const bucket = "moody"
	if err := objectstore.Create(t.Context(), s.bus, bucket, 64<<20); err != nil {
		t.Fatal(err)
	}
	objects, err := objectstore.Open(t.Context(), s.bus, bucket)
	if err != nil {
		t.Fatal(err)
	}
	m := &moody{Backend: objects}
	if s.store, err = artifact.New(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestStoreIsFull: a job that cannot store what it made keeps it, says so, and
// goes on when there is room; no attempt is spent on it. A checkpoint is not
// waited for.
func TestStoreIsFull(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
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
	eventually(t, "the job says that the store is full", func() bool { return s.log.says("the artifact store is full or away", "run=r") })
	if !s.log.says("checkpoint not saved", "step=1") {
		t.Error("nobody was told of the checkpoint")
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

// TestDiskIsFull: the same for a folder, at the end of a phase, where the next
// one reads, and where a later attempt goes on from a checkpoint.
func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	disk := onMoodyStore(t, s)
	full := error(syscall.ENOSPC)
	at6 := make(chan struct{})
	began := make(chan int64, 2)
	first := trainer{steps: 8, save: 4, began: began, hold: blockAt(6, at6)}
	stop := s.worker(t, s.bus, first.Run, worker.Config{})
	s.accept(t, "r", nil, events.Finetune)
	<-at6
	disk.mood.Store(&full)
	stop() // a shutdown; the next attempt needs the checkpoint
	s.worker(t, s.bus, trainer{steps: 8, save: 4, began: began}.Run, worker.Config{})
	eventually(t, "the job waits for its checkpoint", func() bool { return s.log.says("full or away", "fetch the checkpoint") })
	disk.mood.Store(nil)
	run := s.ended(t, "r")
	if run.Completed.Conclusion != events.Success || run.Phases[events.Finetune].Tries() != 0 {
		t.Errorf("ended %s, %d tries", run.Completed.Conclusion, run.Phases[events.Finetune].Tries())
	}
	if a, b := <-began, <-began; a != 0 || b != 4 {
		t.Errorf("the attempts began at %d and %d, want 0 and 4", a, b)
	}
}

// TestStoreRetryBudgetEnds: a store that stays away costs the attempt in the end, with
// an error that says why, and a cancel does not wait for it.
func TestStoreRetryBudgetEnds(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	disk := onMoodyStore(t, s)
	full := error(syscall.ENOSPC)
	disk.mood.Store(&full)
	s.worker(t, s.bus, trainer{steps: 1}.Run, worker.Config{StoreRetryBudget: time.Millisecond})
	s.accept(t, "short", func(a *events.PipelineAccepted) { a.Specification.Pipeline.MaxTries = 1 }, events.Finetune)
	c := s.ended(t, "short").Phases[events.Finetune].Completed
	if c.Conclusion != events.Failure || c.Error == nil || !says(c.Error.Message, "full or away", "no space left") {
		t.Errorf("ended %s: %+v", c.Conclusion, c.Error)
	}
	s.worker(t, s.bus, trainer{steps: 1}.Run, worker.Config{Phase: events.Inference})
	s.accept(t, "long", nil, events.Inference)
	eventually(t, "the job waits for the store", func() bool { return s.log.says("full or away", "run=long") })
	asked := time.Now()
	s.publish(t, events.CancelRequested{RunID: "long"})
	if c := s.ended(t, "long").Completed; c.Conclusion != events.Cancelled {
		t.Errorf("ended %s", c.Conclusion)
	}
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("the cancel took %s", took)
	}
}

// TestServerIsAwayForLong: NATS stays away for longer than the ack wait, with
// two workers on one queue. Whoever holds the job in the end, it is done once,
// and every step is in the history once.
func TestServerIsAwayForLong(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	at3 := make(chan struct{})
	var reached atomic.Bool
	engine := trainer{steps: 12, save: 4, hold: func(ctx context.Context, step int64) error {
		if step == 3 && reached.CompareAndSwap(false, true) {
			close(at3)
		}
		select { // a step takes its time
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
		away := time.NewTimer(3 * ackWait)
		defer away.Stop()
		<-away.C
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

// TestTrackingIsAwayForLong: while nothing can be tracked runs start, work and
// end as usual; once it can, all of them are there, whole.
func TestTrackingIsAwayForLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	blocked := filepath.Join(dir, "mlruns")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil { // where the folder should be
		t.Fatal(err)
	}
	const steps = 30
	e := noops()
	e[events.Finetune] = trainer{steps: steps, save: 10}
	l, err := standalone.Start(t.Context(), standalone.Config{
		RelaxedSync: true, Data: filepath.Join(dir, "data"), Engines: e,
		Tracker: tracker.Config{TrackingURI: "file://" + blocked, Reports: filepath.Join(dir, "reports"), Settle: 20 * time.Millisecond, Retry: 50 * time.Millisecond},
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

// TestStreamIsFull: running work publishes when there is room again.
func TestStreamIsFull(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	working, release := make(chan struct{}), make(chan struct{})
	s.worker(t, s.bus, trainer{steps: 3, hold: func(_ context.Context, step int64) error {
		if step == 2 {
			close(working)
			<-release
		}
		return nil
	}}.Run, worker.Config{})
	s.accept(t, "r", nil, events.Finetune)
	<-working
	bound := func(bytes int64) {
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
	bound(0)
	close(release)
	eventually(t, "the worker says that the stream is full", func() bool { return s.log.says("the stream is full or cannot store", "finetune.completed.r") })
	bound(1 << 30)
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
	s.settled(t)
}

// says reports whether a text has all the words.
func says(text string, words ...string) bool {
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
