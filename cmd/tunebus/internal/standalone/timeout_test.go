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

// timeout sets the time that fine-tuning may take.
func timeout(text string) func(*events.PipelineAccepted) {
	return func(a *events.PipelineAccepted) { a.Specification.FineTuner.Timeout = text }
}

// overtime wants a phase that failed since its time was over.
func overtime(t *testing.T, run events.Run, says ...string) {
	t.Helper()
	c := run.Phases[events.Finetune].Completed
	if c.Conclusion != events.Failure || c.Error == nil || c.Error.Code != "timeout" || run.Completed.Conclusion != events.Failure {
		t.Fatalf("ended %s: %+v", c.Conclusion, c.Error)
	}
	for _, want := range says {
		if !strings.Contains(c.Error.Message, want) {
			t.Errorf("%q is not in %q", want, c.Error.Message)
		}
	}
}

// TestTimeoutOfTheHolder: when the time is over the engine is stopped, and the
// phase fails at once though it has tries left. Its metric history is kept.
func TestTimeoutOfTheHolder(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.worker(t, s.bus, trainer{steps: 9, hold: blockAt(5, make(chan struct{}))}.Run, worker.Config{})
	s.accept(t, "r", timeout("700ms"), events.Finetune)
	run := s.ended(t, "r")
	overtime(t, run, "fine_tuner.timeout = 700ms")
	p := run.Phases[events.Finetune]
	if took := p.Completed.EndedAt.Sub(p.Began()); len(p.Attempts) != 1 || took < 700*time.Millisecond || took > 10*time.Second {
		t.Errorf("ended after %s by %d attempts", took, len(p.Attempts))
	}
	if n := len(storedMetrics(t, s, p.Completed)); n < 4 {
		t.Errorf("%d points of its history were kept", n)
	}
	s.settled(t)
}

// TestTimeoutIsThatOfAllAttempts: a job that is tried again does not begin
// anew, and does not wait for its next try longer than for the timeout.
func TestTimeoutIsThatOfAllAttempts(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
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
	overtime(t, run, "not today")
	if p := run.Phases[events.Finetune]; asked.Load() != 1 || len(p.Attempts) != 2 || !p.Completed.StartedAt.Equal(p.Began()) {
		t.Errorf("worked %d times, %d attempts, completed %+v", asked.Load(), len(p.Attempts), p.Completed)
	}
	s.settled(t)
}

// TestTimeoutElsewhere: whoever takes a job whose time is over ends it without
// work.
func TestTimeoutElsewhere(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.publish(t, events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1, Worker: "gone", StartedAt: time.Now().Add(-time.Hour)})
	s.accept(t, "r", timeout("59m"), events.Finetune)
	s.worker(t, s.bus, never(t), worker.Config{})
	run := s.ended(t, "r")
	overtime(t, run)
	if p := run.Phases[events.Finetune]; p.Completed.Attempt != 2 || p.Completed.EndedAt.Sub(p.Completed.StartedAt) < 59*time.Minute {
		t.Errorf("completed %+v", p.Completed)
	}
	s.settled(t)
}

// TestTimeoutOfAnEngineThatHangs: the phase ends without it. Its slot takes no
// other job until it has stopped, and then it does.
func TestTimeoutOfAnEngineThatHangs(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
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
	overtime(t, s.ended(t, "hangs"))
	s.accept(t, "next", nil, events.Finetune)
	eventually(t, "somebody is told", func() bool { return s.log.says("the engine does not stop", "its slot waits for it", "run=hangs") })
	close(release)
	if c := s.ended(t, "next").Completed; c.Conclusion != events.Success || most.Load() != 1 {
		t.Errorf("ended %s, %d at the same time", c.Conclusion, most.Load())
	}
	s.settled(t)
}

// TestCancelOfAnEngineThatHangs: the holder of the job cancels its phase in
// time without it, so that nobody need take the job over.
func TestCancelOfAnEngineThatHangs(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
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

// TestShutdownsUseUpNothing: a job survives more shutdowns than it has tries
// and crashes, and goes on each time from where it was.
func TestShutdownsUseUpNothing(t *testing.T) {
	t.Parallel()
	const shutdowns = 12
	s := newWorkshop(t)
	s.accept(t, "r", tries(1, 1), events.Finetune)
	for i := range int64(shutdowns) {
		reached := make(chan struct{})
		stop := s.worker(t, s.bus, trainer{steps: shutdowns + 1, save: 1, hold: blockAt(i+1, reached)}.Run, worker.Config{})
		<-reached
		stop()
	}
	s.worker(t, s.bus, trainer{steps: shutdowns + 1, save: 1}.Run, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	if p.Completed.Conclusion != events.Success || len(p.Attempts) != shutdowns+1 || p.Tries() != 0 || p.Crashes() != 0 {
		t.Errorf("ended %s after %d attempts, %d tries, %d crashes", p.Completed.Conclusion, len(p.Attempts), p.Tries(), p.Crashes())
	}
	for i, a := range p.Results()[:shutdowns] {
		if a.Outcome != "shutdown" || a.ResumedFrom != int64(max(i-1, 0)) || a.StartedAt.IsZero() || a.EndedAt.Before(a.StartedAt) {
			t.Errorf("attempt %+v", a)
		}
	}
	if last := p.Results()[shutdowns]; last.ResumedFrom < shutdowns-1 {
		t.Errorf("the last attempt began at step %d", last.ResumedFrom)
	}
}
