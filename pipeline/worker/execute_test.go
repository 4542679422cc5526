package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/storeretry"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/retry"
	"github.com/tunebus/tunebus/pipeline/worker/cleanup"
)

func newTestExecutor(t *testing.T, store storeretry.Files, streams *fakeStreams, e engine.Engine) *executor {
	t.Helper()
	cfg := Config{Phase: events.Finetune, Scratch: t.TempDir()}.withDefaults()
	return &executor{
		cfg:      cfg,
		budget:   newShutdownBudget(cfg.Grace),
		engine:   e,
		store:    storeretry.Store{Files: store},
		registry: &fakeRegistry{},
		journal:  streams,
		history:  streams,
		metrics:  streams,
		finisher: &finisher{
			journal: streams,
			history: streams,
			cleaner: &cleanup.Cleaner{Registry: &fakeRegistry{}, Store: &fakeStore{}, Logger: slog.New(slog.DiscardHandler)},
		},
	}
}

// TestExecutorResumes: an attempt whose newest checkpoint is damaged resumes
// from the one before, and a note corrects the step of its started event.
func TestExecutorResumes(t *testing.T) {
	t.Parallel()
	store := &fakeStore{bad: func(ref events.Reference) error {
		if ref.Key == "8" {
			return &artifact.CorruptError{Key: ref.Key}
		}
		return nil
	}}
	streams := &fakeStreams{}
	var resume engine.Resume
	e := newTestExecutor(t, store, streams, engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		resume = job.Resume
		return engine.Result{Notes: []string{"of the engine"}}, job.Progress(ctx, 5, 9, events.Point{Key: "loss", Value: 1})
	}))
	a := newTestAttempt(&fakeRegistry{}, started(1))
	a.resumeFrom = checkpoint.Checkpoint{Attempt: 1, Step: 8, Reference: events.Reference{Key: "8"}}
	a.resumeFrom.Before = []checkpoint.Checkpoint{{Attempt: 1, Step: 4, Reference: events.Reference{Key: "4"}}}
	a.publishedStep = 8
	if err := e.execute(t.Context(), t.Context(), t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if resume.Step != 4 || resume.Dir == "" || a.lastStep.Load() != 5 {
		t.Errorf("resumed from %+v, the last step is %d", resume, a.lastStep.Load())
	}
	c := streams.published[0].(events.PhaseCompleted)
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{"of the engine", "the checkpoint at step 8 could not be used", "resumed from step 4; its started event names step 8"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q lack %q", notes, want)
		}
	}
	if _, ok := c.Artifact(events.ArtifactMetrics); !ok {
		t.Errorf("artifacts %+v have no metric history", c.Artifacts)
	}
}

// TestExecutorShutdown: an engine may save a last checkpoint at a shutdown, and
// its job is given back.
func TestExecutorShutdown(t *testing.T) {
	t.Parallel()
	ctx, shutDown := context.WithCancel(t.Context())
	streams := &fakeStreams{}
	registry := &fakeRegistry{}
	e := newTestExecutor(t, &fakeStore{}, streams, engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		shutDown()
		<-ctx.Done()
		cause := context.Cause(ctx)
		ctx, done, ok := job.Saving(ctx)
		defer done()
		if !ok {
			return engine.Result{}, errors.New("no checkpoint may be saved")
		}
		return engine.Result{}, errors.Join(job.Checkpoint(ctx, 3, t.TempDir(), 1), cause)
	}))
	a := newTestAttempt(registry)
	err := e.execute(ctx, t.Context(), t.Context(), a)
	if again, ok := errors.AsType[*delivery.RetryAfter](err); !ok || again.Delay != 0 {
		t.Errorf("the job is settled by %v", err)
	}
	if registry.newest.Step != 3 {
		t.Errorf("the last checkpoint is %+v", registry.newest)
	}
	if ended, ok := streams.published[0].(events.AttemptEnded); !ok || ended.Reason != events.EndShutdown {
		t.Errorf("published %+v", streams.published)
	}
}

// TestExecutorStartsOver: a checkpoint that the engine refuses is named in a
// note, and nothing is resumed.
func TestExecutorStartsOver(t *testing.T) {
	t.Parallel()
	streams := &fakeStreams{}
	e := newTestExecutor(t, &fakeStore{}, streams, engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		if err := job.StartOver(ctx, errors.New("other rows")); err != nil {
			return engine.Result{}, err
		}
		return engine.Result{}, job.Progress(ctx, job.Resume.Step+1, 9)
	}))
	a := newTestAttempt(&fakeRegistry{}, started(1))
	a.resumeFrom, a.publishedStep = checkpoint.Checkpoint{Attempt: 1, Step: 8, Reference: events.Reference{Key: "8"}}, 8
	if err := e.execute(t.Context(), t.Context(), t.Context(), a); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("the checkpoint at step %d was set aside, and the work started over: other rows", 8)
	if c := streams.published[0].(events.PhaseCompleted); !slices.Contains(c.Notes, want) || a.lastStep.Load() != 1 {
		t.Errorf("notes %q, the last step is %d", c.Notes, a.lastStep.Load())
	}
}

// slowStreams takes a minute for each publish.
type slowStreams struct{ *fakeStreams }

func (s slowStreams) Publish(ctx context.Context, ev events.Event, fence journal.Fence) (codec.Message, error) {
	time.Sleep(time.Minute)
	return s.fakeStreams.Publish(ctx, ev, fence)
}

// TestExecutorStopsSampling: a worker that has lost its job does not sample the
// machine any more while the end of the attempt waits for NATS. The metric history
// of the new owner lacks these samples.
func TestExecutorStopsSampling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := &fakeStreams{run: events.Fold([]events.Fact{started(1), started(2)})}
		var samples, samplesAtWork atomic.Int64
		e := newTestExecutor(t, &fakeStore{}, streams, engine.Func(func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
			<-ctx.Done()
			samplesAtWork.Store(samples.Load())
			return engine.Result{}, context.Cause(ctx)
		}))
		e.finisher.journal = slowStreams{streams}
		e.cfg.Sample = func(context.Context) []events.Point {
			samples.Add(1)
			return []events.Point{{Key: "cpu"}}
		}
		a := newTestAttempt(&fakeRegistry{})
		a.token = 7
		if err := e.execute(t.Context(), t.Context(), t.Context(), a); !errors.Is(err, delivery.ErrOwnershipLost) {
			t.Errorf("the job is settled by %v", err)
		}
		if samples.Load() > samplesAtWork.Load()+1 || samples.Load() == 0 {
			t.Errorf("%d samples were taken, %d of them while the engine worked", samples.Load(), samplesAtWork.Load())
		}
	})
}

// TestExecutionWait: an engine that ignores its context is waited for some time,
// and not longer.
func TestExecutionWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		x := &execution{done: make(chan struct{})}
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if x.wait(ctx, 5*time.Second) || time.Since(began) != 6*time.Second {
			t.Errorf("stopped waiting after %s", time.Since(began))
		}
		time.AfterFunc(2*time.Second, func() { close(x.done) })
		if !x.wait(ctx, 5*time.Second) {
			t.Error("it was done in time")
		}
	})
}

// TestRunEnginePanics: a panic with any value becomes an error that shows the
// value.
func TestRunEnginePanics(t *testing.T) {
	t.Parallel()
	for _, p := range []any{"text", errors.New("error"), 7} {
		_, err := runEngine(t.Context(), engine.Func(func(context.Context, *engine.Job) (engine.Result, error) { panic(p) }), nil)
		if retry.Classify(err, nil).Class != retry.ClassRetry || engine.Problem(err).Code != "panic" || !strings.Contains(err.Error(), fmt.Sprint(p)) {
			t.Errorf("panic %v became %v", p, err)
		}
	}
}
