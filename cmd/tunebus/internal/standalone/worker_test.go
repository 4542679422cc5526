package standalone_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/service"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// tries sets the limits of tries and crashes of a run.
func tries(most, crashes int) func(*events.PipelineAccepted) {
	return func(a *events.PipelineAccepted) {
		a.Specification.Pipeline.MaxTries, a.Specification.Pipeline.MaxCrashes = most, crashes
	}
}

// noWork is an engine that must not be called.
func noWork(t *testing.T) engine.Func {
	return func(context.Context, *engine.Job) (engine.Result, error) {
		t.Error("the engine was called")
		return engine.Result{}, nil
	}
}

// TestWorkerAttemptOutcomes: each kind of error ends the phase with its code, after
// as many attempts as it allows.
func TestWorkerAttemptOutcomes(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
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

// TestWorkerEndsJobWithoutTriesLeft: a worker that gets a job whose tries or crashes
// are used up ends it without work.
func TestWorkerEndsJobWithoutTriesLeft(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.worker(t, s.bus, noWork(t), worker.Config{})
	start := func(id string, n int) events.PhaseStarted {
		return events.PhaseStarted{RunID: id, Phase: events.Finetune, Attempt: n, Worker: "gone"}
	}
	failed := func(id string, n int) events.AttemptEnded {
		return events.AttemptEnded{RunID: id, Phase: events.Finetune, Attempt: n, Reason: events.EndError, Error: &events.Problem{Code: "oom", Message: "out of memory"}}
	}
	for _, c := range []struct {
		id   string
		past []events.Event
		code string
	}{
		{"crashed", []events.Event{start("crashed", 1), start("crashed", 2)}, "crashed"},
		{"tried", []events.Event{start("tried", 1), failed("tried", 1), start("tried", 2), failed("tried", 2)}, "oom"},
	} {
		for _, ev := range c.past {
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

// TestWorkerShutdownNaksJob: the attempt ends with reason shutdown, the next worker
// gets the job at once and resumes from the checkpoint, and no try is used up.
func TestWorkerShutdownNaksJob(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	at5 := make(chan struct{})
	stop := s.worker(t, s.bus, trainer{steps: 6, save: 4, atStep: blockAt(5, at5)}.Run, worker.Config{})
	s.accept(t, "r", tries(1, 1), events.Finetune)
	<-at5
	if took := stop(); took > 5*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	run, err := history.New(s.bus).Run(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	attempts := run.Phases[events.Finetune].Attempts
	wantAttempts(t, attempts, 1)
	wantEnded(t, attempts[0], events.EndShutdown, 5)
	stopped := time.Now()
	began := make(chan int64, 1)
	s.worker(t, s.bus, trainer{steps: 6, save: 4, began: began}.Run, worker.Config{})
	if from := <-began; from != 4 {
		t.Errorf("resumes from %d", from)
	}
	if took := time.Since(stopped); took > ackWait*9/10 {
		t.Errorf("the next worker got the job after %s", took)
	}
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
}

// TestWorkerShutdownWithHangingEngine: the job is NAKed although its engine does not
// return.
func TestWorkerShutdownWithHangingEngine(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
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
	if len(p.Attempts) != 2 {
		t.Errorf("%d attempts, want 2: %+v", len(p.Attempts), p.Attempts)
	} else if end := p.Attempts[0].Ended; end == nil || end.Reason != events.EndShutdown {
		t.Errorf("the first attempt ended with %+v", end)
	}
	wantEqual(t, "the conclusion", p.Completed.Conclusion, events.Success)
	close(release)
	<-done
}

// TestWorkerOnCompletedPhase: a worker that gets the job of a completed phase
// publishes the next fact and does no work.
func TestWorkerOnCompletedPhase(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.publish(t, events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 1, Conclusion: events.Success, StartedAt: time.Now(), EndedAt: time.Now()})
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	s.worker(t, s.bus, noWork(t), worker.Config{})
	run := s.until(t, "r", "the next job", func(r events.Run) bool { return r.Phases[events.Inference] != nil })
	if n := len(run.Phases[events.Finetune].Attempts); n != 0 {
		t.Errorf("%d attempts", n)
	}
	s.settled(t)
}

// TestWorkerWithOtherStoreNaksJob: a worker with another artifact store NAKs the job
// and logs that; a worker with the right store does it.
func TestWorkerWithOtherStoreNaksJob(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	other := *s
	other.store = openStore(t, t.TempDir())
	s.accept(t, "r", func(a *events.PipelineAccepted) {
		a.Inputs.Files = map[string]events.Reference{"fine_tuner.training_data_id": {Store: s.store.ID(), Key: "uploads/x"}}
	}, events.Finetune)
	stop := other.worker(t, s.bus, noWork(t), worker.Config{})
	eventually(t, "the nak is logged", func() bool {
		return s.log.hasLine("job given back", "run=r", s.store.ID(), other.store.ID(), "level=ERROR")
	})
	stop()
	s.worker(t, s.bus, noop, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	if len(p.Attempts) != 1 || p.Completed.Conclusion != events.Success {
		t.Errorf("%d attempts, completed %+v", len(p.Attempts), p.Completed)
	}
}

// TestWorkerWithoutScratchNaksJob: a scratch folder that vanished is made again. While it
// cannot be made, the worker gives the job back and logs that; the run loses no try, and
// another worker does it.
func TestWorkerWithoutScratchNaksJob(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	dir := filepath.Join(t.TempDir(), "vanished")
	useScratch := func(_ context.Context, job *engine.Job) (engine.Result, error) {
		_, err := job.Scratch("x")
		return engine.Result{}, err
	}
	stop := s.worker(t, s.bus, useScratch, worker.Config{Scratch: dir})
	s.accept(t, "made", tries(1, 1), events.Finetune)
	wantEqual(t, "the conclusion", s.ended(t, "made").Completed.Conclusion, events.Success)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s.accept(t, "r", tries(1, 1), events.Finetune)
	eventually(t, "the nak is logged", func() bool {
		return s.log.hasLine("job given back", "run=r", "the scratch folder "+dir+" cannot be used", "level=ERROR")
	})
	stop()
	s.worker(t, s.bus, useScratch, worker.Config{})
	p := s.ended(t, "r").Phases[events.Finetune]
	if len(p.Attempts) != 1 || p.Completed.Conclusion != events.Success {
		t.Errorf("%d attempts, completed %+v", len(p.Attempts), p.Completed)
	}
}

// TestServiceMakesScratch: a service makes its scratch folder at its start, and does not
// start where it cannot.
func TestServiceMakesScratch(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	start := func(folder string) error {
		var cfg settings.Settings
		cfg.Data.Scratch = folder
		p, err := service.NewProcess(s.bus, s.store, service.Options{Settings: cfg, Logger: s.logger()})
		if err != nil {
			t.Fatal(err)
		}
		return p.Wire(s.logger(), func(svc *service.Service) error {
			return svc.AddPhase(events.Evaluation, engine.Builtin, engine.Func(noop))
		})
	}
	dir := filepath.Join(t.TempDir(), "scratch")
	if err := start(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Errorf("it is not there, or not empty: %v", err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := start(dir)
	if _, ok := errors.AsType[structconf.Faults](err); !ok || !strings.Contains(err.Error(), "data.scratch: the scratch folder "+dir+" cannot be used") {
		t.Errorf("it starts without the folder: %v", err)
	}
}

// TestWorkerKeepsLongJob: a job that takes several ack waits is one attempt, although
// another worker requests jobs all the time.
func TestWorkerKeepsLongJob(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
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

// TestWorkerStopsWhenSuperseded: a worker stops its engine soon after a newer attempt
// has started, or another process has completed the phase.
func TestWorkerStopsWhenSuperseded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fact events.Event
		over bool // whether the job is over
	}{
		{"newer attempt", events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 2, Worker: "another"}, false},
		{"completed", events.PhaseCompleted{RunID: "r", Phase: events.Finetune, Attempt: 2, Conclusion: events.Cancelled, StartedAt: time.Now(), EndedAt: time.Now()}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t)
			var stopped atomic.Int64
			working := make(chan struct{})
			stop := s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
				e := trainer{steps: 4, save: 2, atStep: blockAt(3, working)}
				defer func() { stopped.Store(time.Now().UnixNano()) }()
				return e.Run(ctx, job)
			}, worker.Config{})
			s.accept(t, "r", nil, events.Finetune)
			<-working
			published := time.Now()
			s.publish(t, c.fact)
			eventually(t, "the engine stops", func() bool { return stopped.Load() != 0 })
			if took := time.Unix(0, stopped.Load()).Sub(published); took > 2*time.Second {
				t.Errorf("the engine stopped after %s", took)
			}
			if c.over {
				s.ended(t, "r")
				s.settled(t)
				if keys := s.keys(t, "r"); len(keys) > 0 {
					t.Errorf("left over: %v", keys)
				}
				return
			}
			eventually(t, "it abandons the job", func() bool { return s.log.hasLine("this attempt is abandoned", "attempt=1") })
			stop()
			run, err := history.New(s.bus).Run(t.Context(), "r")
			if err != nil {
				t.Fatal(err)
			}
			p := run.Phases[events.Finetune]
			wantAttempts(t, p.Attempts, 2)
			wantEnded(t, p.Attempts[0], events.EndLost, 3)
			if n := p.Crashes(); n != 1 { // the newer attempt has no attempt_ended
				t.Errorf("%d crashes", n)
			}
		})
	}
}

// TestWorkerOnUnknownVersion: a job whose run has a fact of an unknown version waits
// for a newer worker. A job whose run has a malformed fact becomes a dead letter with
// the reason. Other runs go on.
func TestWorkerOnUnknownVersion(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
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
	eventually(t, "the unknown version is logged", func() bool { return s.log.hasLine("job given back", "run=newer", "v99") })
	eventually(t, "the other job is a dead letter", func() bool {
		dead, err := s.js.Stream(t.Context(), events.StreamDead)
		if err != nil {
			return false
		}
		i, err := dead.Info(t.Context())
		return err == nil && i.State.Msgs > 0 && s.log.hasLine("message given up", "finetune.requested.malformed.builtin")
	})
}

// TestCancelBeforeFirstAttempt: a worker that gets a job of a cancelled run ends the
// phase without work.
func TestCancelBeforeFirstAttempt(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	s.publish(t, events.CancelRequested{RunID: "r", By: "test"})
	s.accept(t, "r", nil, events.Finetune, events.Inference)
	s.worker(t, s.bus, noWork(t), worker.Config{})
	if c := s.ended(t, "r").Completed; c.Conclusion != events.Cancelled {
		t.Errorf("ended %s", c.Conclusion)
	}
}
