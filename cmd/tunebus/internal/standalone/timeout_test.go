package standalone_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// timeout sets the timeout of fine-tuning.
func timeout(text string) func(*events.PipelineAccepted) {
	return func(a *events.PipelineAccepted) { a.Specification.FineTuner.Timeout = text }
}

// wantTimeout wants that the phase failed by its timeout.
func wantTimeout(t *testing.T, run events.Run, words ...string) {
	t.Helper()
	c := run.Phases[events.Finetune].Completed
	wantEqual(t, "the conclusion of the run", run.Completed.Conclusion, events.Failure)
	wantEqual(t, "the conclusion of the phase", c.Conclusion, events.Failure)
	if c.Error == nil || c.Error.Code != "timeout" {
		t.Fatalf("the error is %+v, want a timeout", c.Error)
	}
	for _, want := range words {
		if !strings.Contains(c.Error.Message, want) {
			t.Errorf("%q is not in %q", want, c.Error.Message)
		}
	}
}

// TestTimeoutOfRunningAttempt: at the timeout the worker cancels the engine, and the
// phase fails at once although it has tries left. Its metric history is stored.
func TestTimeoutOfRunningAttempt(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.worker(t, s.bus, trainer{steps: 9, atStep: blockAt(5, make(chan struct{}))}.Run, worker.Config{})
	s.accept(t, "r", timeout("700ms"), events.Finetune)
	run := s.ended(t, "r")
	wantTimeout(t, run, "fine_tuner.timeout = 700ms")
	p := run.Phases[events.Finetune]
	if took := p.Completed.EndedAt.Sub(p.Began()); len(p.Attempts) != 1 || took < 700*time.Millisecond || took > 10*time.Second {
		t.Errorf("ended after %s by %d attempts", took, len(p.Attempts))
	}
	if n := len(storedMetrics(t, s, p.Completed)); n < 4 {
		t.Errorf("the history has %d points, want 4 or more", n)
	}
	s.settled(t)
}

// TestTimeoutCoversAllAttempts: a second attempt gets no time of its own, and a job
// waits no longer for its next attempt than until the timeout.
func TestTimeoutCoversAllAttempts(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	var asked atomic.Int64
	s.worker(t, s.bus, func(context.Context, *engine.Job) (engine.Result, error) {
		asked.Add(1)
		return engine.Result{}, errors.New("not today")
	}, worker.Config{})
	s.accept(t, "r", func(a *events.PipelineAccepted) {
		timeout("1s")(a)
		a.Specification.Pipeline.Backoff = "1h"
	}, events.Finetune)
	run := s.ended(t, "r")
	wantTimeout(t, run, "not today")
	if p := run.Phases[events.Finetune]; asked.Load() != 1 || len(p.Attempts) != 2 || !p.Completed.StartedAt.Equal(p.Began()) {
		t.Errorf("worked %d times, %d attempts, completed %+v", asked.Load(), len(p.Attempts), p.Completed)
	}
	s.settled(t)
}

// TestTimeoutBeforeNextAttempt: a worker that gets a job after its timeout ends it
// without work.
func TestTimeoutBeforeNextAttempt(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.publish(t, events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1, Worker: "gone", StartedAt: time.Now().Add(-time.Hour)})
	s.accept(t, "r", timeout("59m"), events.Finetune)
	s.worker(t, s.bus, noWork(t), worker.Config{})
	run := s.ended(t, "r")
	wantTimeout(t, run)
	if p := run.Phases[events.Finetune]; p.Completed.Attempt != 2 || p.Completed.EndedAt.Sub(p.Completed.StartedAt) < 59*time.Minute {
		t.Errorf("completed %+v", p.Completed)
	}
	s.settled(t)
}

// TestTimeoutOfHangingEngine: the phase ends although its engine does not return. The
// slot takes no other job until the engine has returned.
func TestTimeoutOfHangingEngine(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	release := make(chan struct{})
	var working, most atomic.Int64
	s.worker(t, s.bus, func(_ context.Context, job *engine.Job) (engine.Result, error) {
		most.Store(max(most.Load(), working.Add(1)))
		defer working.Add(-1)
		if job.Request.RunID == "hangs" {
			<-release
		}
		return engine.Result{}, nil
	}, worker.Config{})
	s.accept(t, "hangs", timeout("300ms"), events.Finetune)
	wantTimeout(t, s.ended(t, "hangs"))
	s.accept(t, "next", nil, events.Finetune)
	eventually(t, "the hanging engine is logged", func() bool { return s.log.hasLine("the engine does not stop", "its slot waits for it", "run=hangs") })
	close(release)
	if c := s.ended(t, "next").Completed; c.Conclusion != events.Success || most.Load() != 1 {
		t.Errorf("ended %s, %d at the same time", c.Conclusion, most.Load())
	}
	s.settled(t)
}

// TestCancelOfHangingEngine: the worker ends the cancelled phase in time although its
// engine does not return, so no other worker has to take the job over.
func TestCancelOfHangingEngine(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	working, release := make(chan struct{}), make(chan struct{})
	stop := s.worker(t, s.bus, func(context.Context, *engine.Job) (engine.Result, error) {
		close(working)
		<-release
		return engine.Result{}, nil
	}, worker.Config{Grace: time.Second})
	s.accept(t, "r", nil, events.Finetune)
	<-working
	asked := time.Now()
	s.publish(t, events.CancelRequested{RunID: "r"})
	run := s.ended(t, "r")
	if took := time.Since(asked); took > 5*time.Second {
		t.Errorf("the cancel took %s", took)
	}
	if p := run.Phases[events.Finetune]; len(p.Attempts) != 1 || p.Completed.Conclusion != events.Cancelled {
		t.Errorf("%d attempts, completed %+v", len(p.Attempts), p.Completed)
	}
	if took := stop(); took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	close(release)
}

// TestShutdownUsesUpNoTry: a job survives more shutdowns than it has tries and
// crashes, and resumes each time.
func TestShutdownUsesUpNoTry(t *testing.T) {
	t.Parallel()
	const shutdowns = 12
	s := newTestServer(t)
	s.accept(t, "r", tries(1, 1), events.Finetune)
	for i := range int64(shutdowns) {
		reached := make(chan struct{})
		stop := s.worker(t, s.bus, trainer{steps: shutdowns + 1, save: 1, atStep: blockAt(i+1, reached)}.Run, worker.Config{})
		<-reached
		stop()
	}
	s.worker(t, s.bus, trainer{steps: shutdowns + 1, save: 1}.Run, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	wantAttempts(t, p.Attempts, shutdowns+1)
	wantEqual(t, "the conclusion", p.Completed.Conclusion, events.Success)
	wantEqual(t, "tries", p.Tries(), 0)
	wantEqual(t, "crashes", p.Crashes(), 0)
	for i, a := range p.Results()[:shutdowns] {
		wantEqual(t, "the outcome", a.Outcome, "shutdown")
		wantEqual(t, "the step of the resume", a.ResumedFrom, int64(max(i-1, 0)))
		if a.StartedAt.IsZero() || a.EndedAt.Before(a.StartedAt) {
			t.Errorf("the attempt lasted from %s to %s", a.StartedAt, a.EndedAt)
		}
	}
	if last := p.Results()[shutdowns]; last.ResumedFrom < shutdowns-1 {
		t.Errorf("the last attempt began at step %d", last.ResumedFrom)
	}
}
