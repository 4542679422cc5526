package standalone_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// tries sets the limits of a run.
func tries(most, crashes int) func(*events.PipelineAccepted) {
	return func(a *events.PipelineAccepted) {
		a.Specification.Pipeline.MaxTries, a.Specification.Pipeline.MaxCrashes = most, crashes
	}
}

// never is an engine that must not be asked.
func never(t *testing.T) engine.Func {
	return func(context.Context, *engine.Job) (engine.Result, error) {
		t.Error("the engine was asked to work")
		return engine.Result{}, nil
	}
}

// TestHowAttemptsEnd: what becomes of each kind of error, and how often it is
// tried again.
func TestHowAttemptsEnd(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	broken := errors.New("the disk is full")
	var nothing map[string]int
	for _, c := range []struct {
		id       string
		most     int
		work     func(attempt int) error
		attempts int
		end      events.Conclusion
		code     string
		message  string
	}{
		{"errors", 3, func(int) error { return broken }, 3, events.Failure, "error", "the disk is full"},
		{"one-try", 1, func(int) error { return broken }, 1, events.Failure, "error", "the disk is full"},
		{"recovers", 3, func(n int) error {
			if n < 3 {
				return broken
			}
			return nil
		}, 3, events.Success, "", ""},
		{"permanent", 3, func(int) error { return engine.Permanent("missing_column", errors.New("no column question")) }, 1, events.Failure, "missing_column", "no column question"},
		{"wrapped", 3, func(int) error { return errors.Join(errors.New("row 4"), engine.Permanent("bad_row", broken)) }, 1, events.Failure, "bad_row", "row 4"},
		{"panic", 2, func(int) error { panic("at the disco") }, 2, events.Failure, "panic", "at the disco"},
		{"nil-map", 1, func(int) error { nothing["x"]++; return nil }, 1, events.Failure, "panic", "assignment to entry in nil map"},
	} {
		t.Run(c.id, func(t *testing.T) {
			s.accept(t, c.id, tries(c.most, 5), events.Finetune)
			stop := s.worker(t, s.bus, func(_ context.Context, job *engine.Job) (engine.Result, error) {
				return engine.Result{}, c.work(job.Attempt)
			}, worker.Config{})
			defer stop()
			run := s.ended(t, c.id)
			p := run.Phases[events.Finetune]
			if len(p.Attempts) != c.attempts || p.Completed.Attempt != c.attempts || p.Completed.Conclusion != c.end {
				t.Errorf("%d attempts, completed %+v", len(p.Attempts), p.Completed)
			}
			for i, a := range p.Attempts[:c.attempts-1] {
				if a.Ended == nil || a.Ended.Reason != events.EndError || a.Ended.Error == nil {
					t.Errorf("attempt %d ended %+v", i+1, a.Ended)
				}
			}
			switch e := p.Completed.Error; {
			case c.code == "" && e != nil:
				t.Errorf("error %+v", e)
			case c.code != "" && (e == nil || e.Code != c.code || !strings.Contains(e.Message, c.message)):
				t.Errorf("error %+v, want %s: %s", e, c.code, c.message)
			}
			s.settled(t)
		})
	}
}

// TestUsedUpElsewhere: whoever takes a job whose tries or crashes are used up
// ends it without work.
func TestUsedUpElsewhere(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.worker(t, s.bus, never(t), worker.Config{})
	start := func(id string, n int) events.PhaseStarted {
		return events.PhaseStarted{RunID: id, Phase: events.Finetune, Attempt: n, Worker: "gone"}
	}
	failed := func(id string, n int) events.AttemptEnded {
		return events.AttemptEnded{RunID: id, Phase: events.Finetune, Attempt: n, Reason: events.EndError, Error: &events.Problem{Code: "oom", Message: "out of memory"}}
	}
	for _, c := range []struct {
		id   string
		had  []events.Event
		code string
	}{
		{"crashed", []events.Event{start("crashed", 1), start("crashed", 2)}, "crashed"},
		{"tried", []events.Event{start("tried", 1), failed("tried", 1), start("tried", 2), failed("tried", 2)}, "oom"},
	} {
		for _, ev := range c.had {
			s.publish(t, ev)
		}
		s.accept(t, c.id, tries(2, 2), events.Finetune)
		p := s.ended(t, c.id).Phases[events.Finetune]
		if p.Completed.Conclusion != events.Failure || p.Completed.Attempt != 3 || p.Completed.Error.Code != c.code {
			t.Errorf("%s: completed %+v, %+v", c.id, p.Completed, p.Completed.Error)
		}
	}
	s.settled(t)
}

// TestShutdownGivesTheJobBack: the attempt says why it ended, the next worker
// gets the job at once and goes on from the checkpoint, and no try is used up.
func TestShutdownGivesTheJobBack(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	at5 := make(chan struct{})
	stop := s.worker(t, s.bus, trainer{steps: 6, save: 4, hold: blockAt(5, at5)}.Run, worker.Config{})
	s.accept(t, "r", tries(1, 1), events.Finetune)
	<-at5
	if took := stop(); took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	run, err := history.New(s.bus).Run(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	if a := run.Phases[events.Finetune].Attempts; len(a) != 1 || a[0].Ended == nil || a[0].Ended.Reason != events.EndShutdown || a[0].Ended.LastStep != 5 {
		t.Fatalf("attempts: %+v", a)
	}
	stopped := time.Now()
	began := make(chan int64, 1)
	s.worker(t, s.bus, trainer{steps: 6, save: 4, began: began}.Run, worker.Config{})
	if from := <-began; from != 4 {
		t.Errorf("goes on from %d", from)
	}
	if took := time.Since(stopped); took > ackWait*9/10 {
		t.Errorf("the next worker got the job after %s", took)
	}
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
}

// TestShutdownDoesNotWaitForAStubbornEngine: the job is given back without
// it.
func TestShutdownDoesNotWaitForAStubbornEngine(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	working, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	stop := s.worker(t, s.bus, func(context.Context, *engine.Job) (engine.Result, error) {
		defer close(done)
		close(working)
		<-release
		return engine.Result{}, nil
	}, worker.Config{Grace: time.Second})
	s.accept(t, "r", nil, events.Finetune)
	<-working
	if took := stop(); took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	s.worker(t, s.bus, noop, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	if a := p.Attempts; len(a) != 2 || a[0].Ended == nil || a[0].Ended.Reason != events.EndShutdown || p.Completed.Conclusion != events.Success {
		t.Errorf("attempts %+v, completed %+v", a, p.Completed)
	}
	close(release)
	<-done
}

// TestCompletedAlready: whoever gets the job of a phase that is completed
// publishes what follows, and works no more.
func TestCompletedAlready(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.publish(t, events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 1, Conclusion: events.Success, StartedAt: time.Now(), EndedAt: time.Now()})
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	s.worker(t, s.bus, never(t), worker.Config{})
	run := s.until(t, "r", "the next job", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
	if n := len(run.Phases[events.Finetune].Attempts); n != 0 {
		t.Errorf("%d attempts", n)
	}
	s.settled(t)
}

// TestArtifactsElsewhere: a worker with another store gives the job back and
// says so; one with the right store does it.
func TestArtifactsElsewhere(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	other := *s
	other.store = openStore(t, t.TempDir())
	s.accept(t, "r", func(a *events.PipelineAccepted) {
		a.Inputs.Files = map[string]events.Reference{"fine_tuner.training_data_id": {Store: s.store.ID(), Key: "uploads/x"}}
	}, events.Finetune)
	stop := other.worker(t, s.bus, never(t), worker.Config{})
	eventually(t, "the report", func() bool {
		return s.log.says("job given back", "run=r", s.store.ID(), other.store.ID(), "level=ERROR")
	})
	stop()
	s.worker(t, s.bus, noop, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	if len(p.Attempts) != 1 || p.Completed.Conclusion != events.Success {
		t.Errorf("%d attempts, completed %+v", len(p.Attempts), p.Completed)
	}
}

// TestLongJobStaysWithItsWorker: a job of several ack waits is one attempt,
// though another worker asks for jobs all the time.
func TestLongJobStaysWithItsWorker(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	for range 2 {
		s.worker(t, s.bus, func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
			select {
			case <-time.After(3 * ackWait): // the length of the job is what is tested
				return engine.Result{}, nil
			case <-ctx.Done():
				return engine.Result{}, context.Cause(ctx)
			}
		}, worker.Config{})
	}
	s.accept(t, "r", nil, events.Finetune)
	if p := s.ended(t, "r").Phases[events.Finetune]; len(p.Attempts) != 1 || p.Completed.Conclusion != events.Success {
		t.Errorf("%d attempts, completed %+v", len(p.Attempts), p.Completed)
	}
}

// TestLoserStops: a worker hears of a newer attempt, or of an end that
// somebody else gave the phase, and stops soon, whatever it works on.
func TestLoserStops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		news events.Event
		next bool // whether the job is over
	}{
		{"newer attempt", events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 2, Worker: "another"}, false},
		{"completed", events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 2, Conclusion: events.Cancelled, StartedAt: time.Now(), EndedAt: time.Now()}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newWorkshop(t)
			var stopped atomic.Int64
			working := make(chan struct{})
			stop := s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
				e := trainer{steps: 4, save: 2, hold: blockAt(3, working)}
				defer func() { stopped.Store(time.Now().UnixNano()) }()
				return e.Run(ctx, job)
			}, worker.Config{})
			s.accept(t, "r", nil, events.Finetune)
			<-working
			told := time.Now()
			s.publish(t, c.news)
			eventually(t, "the engine stops", func() bool { return stopped.Load() != 0 })
			if took := time.Unix(0, stopped.Load()).Sub(told); took > 2*time.Second {
				t.Errorf("the engine stopped after %s", took)
			}
			if c.next {
				s.ended(t, "r")
				s.settled(t)
				if keys := s.keys(t, "r"); len(keys) > 0 {
					t.Errorf("left over: %v", keys)
				}
				return
			}
			eventually(t, "it lets go", func() bool { return s.log.says("this attempt is abandoned", "attempt=1") })
			stop()
			run, err := history.New(s.bus).Run(t.Context(), "r")
			if err != nil {
				t.Fatal(err)
			}
			p := run.Phases[events.Finetune]
			if a := p.Attempts; len(a) != 2 || a[0].Ended == nil || a[0].Ended.Reason != events.EndLost || a[0].Ended.LastStep != 3 {
				t.Errorf("attempts: %+v", a)
			}
			if n := p.Crashes(); n != 1 { // that of the newer attempt, which says nothing
				t.Errorf("%d crashes", n)
			}
		})
	}
}

// TestRunOfANewerWorld: a job whose run has a fact of a newer version waits
// for a newer worker; one whose run has a malformed fact becomes a dead letter
// with the reason. Other runs go on.
func TestRunOfANewerWorld(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	for subject, body := range map[string]string{
		"finetune.started.newer.7":     `{"specversion":"1.0","id":"x","source":"test","type":"finetune.started","dataschema":"https://tunebus.dev/schemas/finetune.started.v99.json","datacontenttype":"application/json","data":{}}`,
		"finetune.started.malformed.7": `{"specversion":"1.0","id":"y","source":"test","type":"finetune.started","data":`,
	} {
		if _, err := s.js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	s.worker(t, s.bus, noop, worker.Config{Timing: worker.Timing{WrongWorkerDelay: time.Hour}})
	for _, id := range []string{"newer", "malformed", "fine"} {
		s.accept(t, id, nil, events.Finetune)
	}
	s.ended(t, "fine")
	eventually(t, "the newer fact is spoken of", func() bool { return s.log.says("job given back", "run=newer", "v99") })
	eventually(t, "the other job is a dead letter", func() bool {
		dead, err := s.js.Stream(t.Context(), events.StreamDead)
		if err != nil {
			return false
		}
		i, err := dead.Info(t.Context())
		return err == nil && i.State.Msgs > 0 && s.log.says("message given up", "finetune.requested.malformed.builtin")
	})
}

// TestCancelBeforeTheStart: a worker that gets a job whose run was cancelled
// ends it.
func TestCancelBeforeTheStart(t *testing.T) {
	t.Parallel()
	s := newWorkshop(t)
	s.publish(t, events.CancelRequested{RunID: "r", By: "test"})
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	s.worker(t, s.bus, never(t), worker.Config{})
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Cancelled {
		t.Errorf("ended %s", c.Conclusion)
	}
}
