package standalone_test

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/finetune"
	"github.com/tunebus/tunebus/services/inference"
)

// hangingModel is the context of a job whose model hangs in the middle of its
// computation: at the nth time that package llm asks the context whether to go on. It
// hangs until release is closed, and looks at nothing else meanwhile.
type hangingModel struct {
	context.Context
	nth     int64
	asked   atomic.Int64
	hung    chan struct{} // closed when it hangs
	release chan struct{}
}

// Err implements [context.Context].
func (h *hangingModel) Err() error {
	if askedByModel() && h.asked.Add(1) == h.nth {
		close(h.hung)
		<-h.release
	}
	return h.Context.Err()
}

// askedByModel reports whether package llm is the one that asks the context, through
// the context that counts its questions.
func askedByModel() bool {
	pc := make([]uintptr, 8)
	frames := runtime.CallersFrames(pc[:runtime.Callers(3, pc)])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "tunebus/llm.") || strings.Contains(frame.Function, "tunebus/llm/generation.") {
			return true
		}
		if !more {
			return false
		}
	}
}

// TestHangInComputation: the built-in engines hang in the computation of a step, where
// no store and no network is asked. Another worker gets the job, and its result is that
// of a run that nothing disturbed.
func TestHangInComputation(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	data, err := filepath.Abs("../../../../configs/quickstart")
	if err != nil {
		t.Fatal(err)
	}
	engines := map[events.Phase]engine.Engine{events.Finetune: finetune.Engine{}, events.Inference: inference.Engine{SaveEvery: time.Nanosecond}}
	const limit = 5 * time.Second
	release := make(chan struct{})
	hung := map[events.Phase]chan struct{}{}
	start := func(p events.Phase, e engine.Engine, name string, limits progress.Limits) {
		s.worker(t, s.bus, e.Run, worker.Config{Phase: p, Name: name, Stall: limits, Sources: engine.Sources{Roots: []string{data}}})
	}
	for p, nth := range map[events.Phase]int64{events.Finetune: 8, events.Inference: 60} {
		hung[p] = make(chan struct{})
		start(p, engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
			return engines[p].Run(&hangingModel{Context: ctx, nth: nth, hung: hung[p], release: release}, job)
		}), "first", progress.Limits{workStages[p]: limit})
	}
	accept := func(id string) {
		s.accept(t, id, func(a *events.PipelineAccepted) {
			f, i := &a.Specification.FineTuner, &a.Specification.Inferencer
			f.BaseModelID, f.TrainingDataID, f.FullFinetuning = "base-model", "validation.jsonl", true
			f.DeviceTrainBatchSize, f.GradAccumulation, f.Epochs, f.SaveSteps, f.MaxSequenceLength = 4, 1, 3, 3, 64
			i.TestingDataID, i.Temperature, i.MaxNewTokens, i.BatchSize = "validation.jsonl", 0.8, 16, 1
		}, events.Finetune, events.Inference)
	}
	accept("hung")
	for _, p := range []events.Phase{events.Finetune, events.Inference} {
		<-hung[p]
		start(p, engines[p], "second", nil)
	}
	disturbed := s.ended(t, "hung")
	accept("whole") // while the first workers still hang
	whole := s.ended(t, "whole")
	for p, artifact := range map[events.Phase]string{events.Finetune: events.ArtifactModel, events.Inference: events.ArtifactPredictions} {
		got, want := disturbed.Phases[p], whole.Phases[p]
		wantAttempts(t, got.Attempts, 2)
		wantAttempts(t, want.Attempts, 1)
		if !got.Attempts[0].Stalled() || got.Attempts[1].Started.ResumedFrom == 0 {
			t.Errorf("%s: the attempts are %+v", p, got.Attempts)
		}
		wantEqual(t, string(p)+" is ended by", got.Attempts[1].Started.Worker, "second")
		wantEqual(t, string(p)+" of the next run is done by", want.Attempts[0].Started.Worker, "second")
		wantEqual(t, string(p)+" ends with", got.Completed.Conclusion, events.Success)
		a, _ := got.Completed.Artifact(artifact)
		b, ok := want.Completed.Artifact(artifact)
		if !ok || a.SHA256 != b.SHA256 || a.Size != b.Size {
			t.Errorf("%s: the artifact %s is %+v after the hang, %+v without one", p, artifact, a, b)
		}
		wantEqual(t, string(p)+": tokens", got.Completed.TokensIn+got.Completed.TokensOut, want.Completed.TokensIn+want.Completed.TokensOut)
	}
	close(release)
	for p := range hung {
		eventually(t, "the hanging work of "+string(p)+" has returned", func() bool {
			return s.log.hasLine("the stalled work has returned", "phase="+string(p))
		})
		s.settledPhase(t, p)
	}
	for _, key := range s.keys(t, "hung") {
		if strings.Contains(key, "/1/") || strings.Contains(key, "checkpoint") {
			t.Errorf("%s is left over", key)
		}
	}
}
