package standalone_test

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/heldslot"
	"github.com/tunebus/tunebus/pipeline/bus/objectstore"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// hangingBackend is a backend that never answers a Put of some keys, until it is
// released. It does not look at its context.
type hangingBackend struct {
	artifact.Backend
	hangs   func(key string) bool
	hung    chan struct{} // closed at the first such Put
	once    sync.Once
	release chan struct{}
}

func (h *hangingBackend) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	if h.hangs(key) {
		h.once.Do(func() { close(h.hung) })
		<-h.release
	}
	return h.Backend.Put(ctx, key, mediaType, r)
}

// openBucket opens the artifact store in a bucket of the server, with a backend
// around it if wrap is set.
func openBucket(t *testing.T, s *testServer, wrap func(artifact.Backend) artifact.Backend) *artifact.Store {
	t.Helper()
	const bucket = "artifacts"
	if err := objectstore.Create(t.Context(), s.bus, bucket, 64<<20); err != nil {
		t.Fatal(err)
	}
	var backend artifact.Backend
	backend, err := objectstore.Open(t.Context(), s.bus, bucket)
	if err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		backend = wrap(backend)
	}
	store, err := artifact.New(t.Context(), backend)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// isKey returns a function that finds keys by a part.
func isKey(part string) func(key string) bool {
	return func(key string) bool { return strings.Contains(key, part) }
}

// workStages are the stages of the work of the phases.
var workStages = map[events.Phase]progress.Stage{
	events.Finetune: progress.Train, events.Inference: progress.Generate, events.Evaluation: progress.Score,
}

// TestHangingJobGoesToAnotherWorker: of each phase, a job hangs in its engine, in
// its upload, or in the save of a checkpoint. Another worker gets it after the
// limit and finishes it. The worker whose job hangs takes no other one until the
// hang is over, and what comes out of it then is dropped.
func TestHangingJobGoesToAnotherWorker(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	for _, phase := range events.Phases() {
		for name, c := range map[string]struct {
			stage progress.Stage
			hangs func(key string) bool // of the store
			at    int64                 // the step at which the engine hangs
			from  int64                 // the step from which the second attempt goes on
		}{
			"engine":     {stage: workStages[phase], at: 5, from: 3},
			"store":      {stage: progress.Upload, hangs: isKey("model.txt"), from: 6},
			"checkpoint": {stage: progress.Save, hangs: isKey("checkpoint-6"), from: 3},
		} {
			t.Run(string(phase)+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newTestServer(t)
				hung, release := make(chan struct{}), make(chan struct{})
				var working, most atomic.Int64
				var lock sync.Mutex // never freed before the release
				lock.Lock()
				hanging := func(ctx context.Context, job *engine.Job) (engine.Result, error) {
					most.Store(max(most.Load(), working.Add(1)))
					defer working.Add(-1)
					return trainer{steps: 8, save: 3, value: 1, atStep: func(_ context.Context, step int64) error {
						if step == c.at && job.Request.RunID == "r" {
							close(hung)
							lock.Lock()
							lock.Unlock() //nolint:staticcheck // it is locked to hang
						}
						return nil
					}}.Run(ctx, job)
				}
				good := openBucket(t, s, nil)
				s.store = good
				if c.hangs != nil {
					s.store = openBucket(t, s, func(b artifact.Backend) artifact.Backend {
						return &hangingBackend{Backend: b, hangs: c.hangs, hung: hung, release: release}
					})
				}
				s.worker(t, s.bus, hanging, worker.Config{Phase: phase, Name: "first", Stall: progress.Limits{c.stage: limit}})
				s.accept(t, "r", nil, phase)
				<-hung
				s.store = good
				began := make(chan int64, 2)
				stop := s.worker(t, s.bus, trainer{steps: 8, save: 3, value: 2, began: began}.Run, worker.Config{Phase: phase, Name: "second"})
				p := s.ended(t, "r").Phases[phase]
				stop()
				wantAttempts(t, p.Attempts, 2)
				wantEqual(t, "the worker that completed", p.Attempts[1].Started.Worker, "second")
				wantEqual(t, "the conclusion", p.Completed.Conclusion, events.Success)
				wantEqual(t, "the step of the resume", <-began, c.from)
				if end := p.Attempts[0].Ended; end == nil || !p.Attempts[0].Stalled() || !containsAll(end.Error.Message, "stage "+string(c.stage), "1s", "services."+string(phase)+".stall."+string(c.stage)) {
					t.Errorf("the first attempt ended with %+v", end)
				}
				if !s.log.hasLine("level=ERROR", "makes no progress", "run=r", "stage="+string(c.stage)) || s.log.hasLine("waits_for=\"\"") {
					t.Error("the log does not show the stall")
				}
				if c.hangs != nil { // the store is named, by what it was asked for
					what := "while storing runs/r/" + string(phase) + "/1/"
					if !containsAll(p.Attempts[0].Ended.Error.Message, what, " in the artifact store") || !s.log.hasLine("makes no progress", "doing=\"storing runs/r/") {
						t.Errorf("what hangs is not named: %s", p.Attempts[0].Ended.Error.Message)
					}
				}
				wantBoundedStacks(t, s.log.String())
				held, err := heldslot.List(t.Context(), s.bus)
				if err != nil || len(held) != 1 || held[0].Worker != "first" || held[0].RunID != "r" || held[0].Phase != phase ||
					held[0].Attempt != 1 || held[0].Queue != "builtin" || !strings.Contains(held[0].Why, "stage "+string(c.stage)) {
					t.Errorf("held slots: %+v, %v", held, err)
				}

				s.accept(t, "next", nil, phase)
				released := time.Now()
				close(release)
				lock.Unlock()
				next := s.ended(t, "next").Phases[phase]
				wantEqual(t, "the worker of the next job", next.Attempts[0].Started.Worker, "first")
				if at := next.Attempts[0].Started.StartedAt; at.Before(released) {
					t.Errorf("the hanging worker took another job at %s, and was released at %s", at, released)
				}
				wantEqual(t, "its conclusion", next.Completed.Conclusion, events.Success)
				wantEqual(t, "jobs at the same time", most.Load(), 1)
				if !s.log.hasLine("the stalled work has returned", "run=r") {
					t.Error("the log does not show that the work has returned")
				}
				s.settledPhase(t, phase)
				eventually(t, "no slot is held", func() bool {
					held, err := heldslot.List(t.Context(), s.bus)
					return err == nil && len(held) == 0
				})
				for _, key := range s.keys(t, "r") {
					if strings.Contains(key, "/1/") || strings.Contains(key, "checkpoint") {
						t.Errorf("%s is left over", key)
					}
				}
				steps := map[int64]float64{}
				for _, pt := range storedMetrics(t, s, p.Completed) {
					if _, twice := steps[pt.Step]; twice {
						t.Errorf("step %d is in the history twice", pt.Step)
					}
					steps[pt.Step] = pt.Value
				}
				if got := slices.Sorted(maps.Keys(steps)); len(got) != 8 {
					t.Errorf("the history has the steps %v", got)
				}
			})
		}
	}
}

// wantBoundedStacks wants the stacks of a stalled job in a line of their own, which shows
// the job's goroutines alone.
func wantBoundedStacks(t *testing.T, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "stacks=") {
			continue
		}
		if len(line) > 40<<10 || !strings.Contains(line, "goroutine(s)") || strings.Contains(line, "nats-server") {
			t.Errorf("the stacks take %d bytes: %.2000s", len(line), line)
		}
		return
	}
	t.Error("the log has no stacks")
}

// settledPhase waits until every job of a phase is settled.
func (s *testServer) settledPhase(t *testing.T, p events.Phase) {
	t.Helper()
	eventually(t, "all jobs are settled", func() bool {
		c, err := s.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(p, "builtin"))
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().NumPending == 0
	})
}

// TestSlowJobIsNotStalled: a job that gets a step or a byte done now and then is not
// ended, however long its stages take. Neither is a job without limits, nor one that
// has announced a longer wait.
func TestSlowJobIsNotStalled(t *testing.T) {
	t.Parallel()
	const limit, pause, times = time.Second, 100 * time.Millisecond, 15
	wait := func() { <-time.After(pause) } // the duration of a step
	limits := progress.Limits{progress.Train: limit, progress.FirstStep: limit, progress.Upload: limit, progress.Save: limit, progress.Fetch: limit}
	for name, c := range map[string]struct {
		limits progress.Limits
		work   func(ctx context.Context, job *engine.Job) error
	}{
		"steps": {limits, func(ctx context.Context, job *engine.Job) error {
			for step := range int64(times) {
				wait()
				if err := job.Progress(ctx, step+1, times); err != nil {
					return err
				}
			}
			return nil
		}},
		"tokens": {limits, func(_ context.Context, job *engine.Job) error {
			for range times {
				wait()
				job.Advance(1)
			}
			return nil
		}},
		"no limit": {progress.Limits{progress.Train: 0, progress.FirstStep: 0}, func(context.Context, *engine.Job) error {
			for range times {
				wait()
			}
			return nil
		}},
		"a wait": {limits, func(ctx context.Context, _ *engine.Job) error {
			defer engine.Waiting(ctx, "the tide", time.Hour)()
			for range times {
				wait()
			}
			return nil
		}},
		"bytes": {limits, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t)
			s.store = openBucket(t, s, func(b artifact.Backend) artifact.Backend { return slowBackend{b, wait} })
			s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
				if c.work != nil {
					return engine.Result{}, c.work(ctx, job)
				}
				return trainer{steps: 4, save: 2}.Run(ctx, job)
			}, worker.Config{Stall: c.limits})
			s.accept(t, "r", nil, events.Finetune)
			p := s.ended(t, "r").Phases[events.Finetune]
			wantAttempts(t, p.Attempts, 1)
			wantEqual(t, "the conclusion", p.Completed.Conclusion, events.Success)
		})
	}
}

// slowBackend is a backend that takes its bytes one by one, up to a number, and
// waits before each.
type slowBackend struct {
	artifact.Backend
	wait func()
}

func (b slowBackend) Put(ctx context.Context, key, mediaType string, r io.Reader) error {
	return b.Backend.Put(ctx, key, mediaType, io.MultiReader(iotest.OneByteReader(io.LimitReader(waitingReader{r, b.wait}, 15)), r))
}

type waitingReader struct {
	io.Reader
	wait func()
}

func (r waitingReader) Read(p []byte) (int, error) {
	r.wait()
	return r.Reader.Read(p)
}

// TestJobThatAlwaysStalls: a job that stalls in every attempt fails in the end, and
// the error names the stage.
func TestJobThatAlwaysStalls(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.worker(t, s.bus, func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
		<-ctx.Done()
		return engine.Result{}, context.Cause(ctx)
	}, worker.Config{Stall: progress.Limits{progress.Train: 200 * time.Millisecond}})
	s.accept(t, "r", tries(1, 5), events.Finetune)
	run := s.ended(t, "r")
	p := run.Phases[events.Finetune]
	wantAttempts(t, p.Attempts, 3) // the last one ends the phase, since every worker may be held
	wantEqual(t, "the conclusion", run.Completed.Conclusion, events.Failure)
	if e := p.Completed.Error; e == nil || e.Code != events.CodeStalled || !containsAll(e.Message, "3 attempts", "stage train", "200ms", "services.finetune.stall.train") {
		t.Errorf("the error is %+v", e)
	}
	s.settled(t)
}

// TestStalledWorkerShutsDown: a worker whose job hangs for ever ends in bounded time,
// and does not disturb the new owner of the job.
func TestStalledWorkerShutsDown(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	release := make(chan struct{})
	defer close(release)
	stop := s.worker(t, s.bus, func(context.Context, *engine.Job) (engine.Result, error) {
		<-release
		return engine.Result{}, nil
	}, worker.Config{Name: "first", Grace: time.Second, Stall: progress.Limits{progress.Train: 200 * time.Millisecond}})
	s.accept(t, "r", nil, events.Finetune)
	s.until(t, "r", "the attempt stalls", func(r events.Run) bool {
		p := r.Phases[events.Finetune]
		return p != nil && len(p.Attempts) > 0 && p.Attempts[0].Stalled()
	})
	working, proceed := make(chan struct{}), make(chan struct{})
	s.worker(t, s.bus, func(context.Context, *engine.Job) (engine.Result, error) {
		close(working)
		<-proceed
		return engine.Result{}, nil
	}, worker.Config{Name: "second"})
	<-working
	if took := stop(); took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	close(proceed)
	p := s.ended(t, "r").Phases[events.Finetune]
	wantAttempts(t, p.Attempts, 2)
	wantEqual(t, "the conclusion", p.Completed.Conclusion, events.Success)
	s.settled(t)
}
