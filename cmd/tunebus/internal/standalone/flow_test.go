package standalone_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
	"github.com/tunebus/tunebus/pipeline/engine"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	l := start(t, standalone.Config{RelaxedSync: true})
	for id, c := range map[string]struct {
		pipeline map[string]any
		phases   string
	}{
		"skipfinetuning":  {map[string]any{"enable_finetuning": false}, "inference evaluation"},
		"stopafterfirst":  {map[string]any{"stop_after_finetuning": true}, "finetune"},
		"stopaftersecond": {map[string]any{"stop_after_inference": true}, "finetune inference"},
	} {
		request(t, l, id, map[string]map[string]any{"pipeline": c.pipeline})
		run := ended(t, l, id, true)
		var phases []string
		for _, p := range run.Completed.Phases {
			phases = append(phases, string(p.Phase))
		}
		if got := strings.Join(phases, " "); got != c.phases || run.Completed.Conclusion != events.Success {
			t.Errorf("%s: %s did %s, want %s", id, run.Completed.Conclusion, got, c.phases)
		}
	}
}

func failing(p events.Phase) map[events.Phase]engine.Engine {
	e := noops()
	e[p] = engine.Func(func(context.Context, *engine.Job) (engine.Result, error) {
		return engine.Result{}, engine.Permanent("broken", errors.New("the "+string(p)+" is broken"))
	})
	return e
}

func TestEachPhaseFails(t *testing.T) {
	t.Parallel()
	for _, p := range events.Phases() {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			l := start(t, standalone.Config{RelaxedSync: true, Engines: failing(p)})
			request(t, l, "r", nil)
			run := ended(t, l, "r", true)
			last := run.Completed.Phases[len(run.Completed.Phases)-1]
			if run.Completed.Conclusion != events.Failure || last.Phase != p || last.Error == nil || last.Error.Code != "broken" {
				t.Errorf("run ended %s after %+v", run.Completed.Conclusion, last)
			}
		})
	}
}

func TestGoesOnAfterFailedFinetuning(t *testing.T) {
	t.Parallel()
	l := start(t, standalone.Config{RelaxedSync: true, Engines: failing(events.Finetune)})
	request(t, l, "r", map[string]map[string]any{"pipeline": {"on_finetuning_failure": "continue"}})
	run := ended(t, l, "r", true)
	if run.Completed.Conclusion != events.Success || len(run.Completed.FailedPhases) != 1 || run.Completed.FailedPhases[0] != events.Finetune {
		t.Errorf("ended %s, failed %v", run.Completed.Conclusion, run.Completed.FailedPhases)
	}
}

func TestCancelRunning(t *testing.T) {
	t.Parallel()
	working := make(chan struct{})
	e := noops()
	e[events.Finetune] = engine.Func(func(ctx context.Context, _ *engine.Job) (engine.Result, error) {
		close(working)
		<-ctx.Done()
		return engine.Result{}, ctx.Err()
	})
	l := start(t, standalone.Config{RelaxedSync: true, Engines: e})
	request(t, l, "r", nil)
	<-working
	cancel(t, l, "r")
	run := ended(t, l, "r", true)
	if run.Completed.Conclusion != events.Cancelled {
		t.Errorf("ended %s", run.Completed.Conclusion)
	}
	if c := run.Phases[events.Finetune].Completed; c == nil || c.Attempt != 1 {
		t.Errorf("the holder did not end its phase: %+v", c)
	}
}

func TestCancelQueued(t *testing.T) {
	t.Parallel()
	e := noops()
	delete(e, events.Finetune) // nobody works on this phase
	l := start(t, standalone.Config{RelaxedSync: true, Engines: e})
	request(t, l, "r", nil)
	cancel(t, l, "r")
	if run := ended(t, l, "r", true); run.Completed.Conclusion != events.Cancelled {
		t.Errorf("ended %s", run.Completed.Conclusion)
	}
}

func cancel(t *testing.T, l *standalone.Local, id string) {
	t.Helper()
	if _, err := journal.New(l.Bus).Publish(t.Context(), events.CancelRequested{RunID: id}, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
}

func TestRetriesThenFails(t *testing.T) {
	t.Parallel()
	e := noops()
	e[events.Inference] = engine.Func(func(context.Context, *engine.Job) (engine.Result, error) {
		return engine.Result{}, errors.New("not today")
	})
	l := start(t, standalone.Config{RelaxedSync: true, Engines: e})
	request(t, l, "r", map[string]map[string]any{"pipeline": {"max_tries": 2}})
	run := ended(t, l, "r", true)
	if p := run.Phases[events.Inference]; len(p.Attempts) != 2 || p.Completed.Conclusion != events.Failure {
		t.Errorf("inference: %d attempts, %+v", len(p.Attempts), p.Completed)
	}
}

func TestRejectsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	l := start(t, standalone.Config{RelaxedSync: true})
	request(t, l, "r", map[string]map[string]any{
		"fine_tuner": {"epochs": 0, "rnk": 3, "learning_rate": "fast", "queue": "nobody"},
		"pipeline":   {"deadline": "soon"},
	})
	var keys []string
	for _, f := range rejected(t, l, 1) {
		keys = append(keys, f.Key)
	}
	for _, want := range []string{"fine_tuner.epochs", "fine_tuner.rnk", "fine_tuner.learning_rate", "fine_tuner.queue", "pipeline.deadline"} {
		if !slices.Contains(keys, want) {
			t.Errorf("no fault of %s among %v", want, keys)
		}
	}
}

// rejected waits for the rejection of a request and returns its faults.
func rejected(t *testing.T, l *standalone.Local, request uint64) []events.Fault {
	t.Helper()
	subject := events.PipelineRejected{RequestSequence: request}.Subject()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	rings, err := wakeup.Watch(ctx, l.Bus, subject)
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := history.New(l.Bus).Latest(ctx, subject)
		if err == nil {
			return m.Event.(events.PipelineRejected).Faults
		}
		if !errors.Is(err, history.ErrNotFound) {
			t.Fatal(err)
		}
		<-rings
	}
}

func TestRunIDIsTaken(t *testing.T) {
	t.Parallel()
	l := start(t, standalone.Config{RelaxedSync: true})
	request(t, l, "same", nil)
	ended(t, l, "same", false)
	request(t, l, "same", nil)
	if f := rejected(t, l, 2); len(f) != 1 || f[0].Key != "run_id" {
		t.Errorf("faults: %+v", f)
	}
}
