package standalone_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/worker"
	"github.com/tunebus/tunebus/services/finetune"
	"github.com/tunebus/tunebus/services/inference"
)

// TestEngineResume: the built-in engines resume from a checkpoint, and their result is
// the same as without an interruption.
func TestEngineResume(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	data, err := filepath.Abs("../../../../configs/quickstart")
	if err != nil {
		t.Fatal(err)
	}
	cfg := worker.Config{Sources: engine.Sources{Roots: []string{data}}}
	s.worker(t, s.bus, s.interrupted(finetune.Engine{}, "interrupted"), cfg)
	cfg.Phase = events.Inference
	s.worker(t, s.bus, s.interrupted(inference.Engine{SaveEvery: time.Nanosecond}, "interrupted"), cfg)
	runs := map[string]events.Run{}
	for _, id := range []string{"interrupted", "whole"} {
		s.accept(t, id, func(a *events.PipelineAccepted) {
			f, i := &a.Specification.FineTuner, &a.Specification.Inferencer
			f.BaseModelID, f.TrainingDataID, f.FullFinetuning = "base-model", "validation.jsonl", true
			f.DeviceTrainBatchSize, f.GradAccumulation, f.Epochs, f.SaveSteps, f.MaxSequenceLength = 4, 1, 3, 3, 64
			i.TestingDataID, i.Baseline, i.Temperature, i.MaxNewTokens, i.BatchSize = "validation.jsonl", true, 0.8, 16, 1
		}, events.Finetune, events.Inference)
	}
	for id := range map[string]bool{"interrupted": true, "whole": true} {
		runs[id] = s.ended(t, id)
		if c := runs[id].Completed; c.Conclusion != events.Success {
			t.Fatalf("%s ended %s: %+v %+v", id, c.Conclusion, c.Phases, c.Phases[len(c.Phases)-1].Error)
		}
	}
	for _, p := range []events.Phase{events.Finetune, events.Inference} {
		if a := runs["interrupted"].Phases[p].Attempts; len(a) != 2 || a[1].Started.ResumedFrom == 0 {
			t.Errorf("%s: attempts %+v", p, a)
		}
		interrupted, whole := runs["interrupted"].Phases[p].Completed, runs["whole"].Phases[p].Completed
		for name, want := range whole.Statistics {
			if strings.HasSuffix(name, "_memory_bytes") { // of the process, and so of what it did before
				continue
			}
			if got := interrupted.Statistics[name]; got != want {
				t.Errorf("%s: %s is %v after a resume, %v without an interruption", p, name, got, want)
			}
		}
		if interrupted.TokensOut != whole.TokensOut || interrupted.TokensIn != whole.TokensIn {
			t.Errorf("%s: tokens %d, %d after a resume, %d, %d without an interruption", p, interrupted.TokensIn, interrupted.TokensOut, whole.TokensIn, whole.TokensOut)
		}
	}
	for _, name := range []string{events.ArtifactPredictions, events.ArtifactBaselinePredictions} {
		if a, b := s.content(t, runs["interrupted"], name), s.content(t, runs["whole"], name); a != b {
			t.Errorf("%s differ after a resume:\n%s\nwithout an interruption:\n%s", name, a, b)
		}
	}
	steps := map[int64]int{}
	for _, p := range storedMetrics(t, s, runs["interrupted"].Phases[events.Finetune].Completed) {
		if p.Key == "loss" {
			steps[p.Step]++
		}
	}
	if len(steps) != 15 {
		t.Errorf("the history has %d steps, want 15", len(steps))
	}
	for step, n := range steps {
		if n != 1 {
			t.Errorf("step %d is in the history %d times", step, n)
		}
	}
}

// TestFinetuneEngineIgnoresForeignCheckpoint: a checkpoint of another training, here
// because the data has changed, is set aside, and the attempt starts over.
func TestFinetuneEngineIgnoresForeignCheckpoint(t *testing.T) {
	t.Parallel()
	s := newTestServer(t)
	data := t.TempDir()
	quick, err := filepath.Abs("../../../../configs/quickstart")
	if err != nil {
		t.Fatal(err)
	}
	rows := func(n int) {
		text := strings.Repeat(`{"question":"Who?","answer":"Ada."}`+"\n", n)
		if err := os.WriteFile(filepath.Join(data, "rows.jsonl"), []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	rows(20)
	first := s.interrupted(finetune.Engine{}, "r")
	s.worker(t, s.bus, func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		if job.Attempt == 2 {
			rows(8)
		}
		return first(ctx, job)
	}, worker.Config{Sources: engine.Sources{Roots: []string{data, quick}}})
	s.accept(t, "r", func(a *events.PipelineAccepted) {
		f := &a.Specification.FineTuner
		f.BaseModelID, f.TrainingDataID, f.Rank, f.TargetModules = "base-model", "rows.jsonl", 2, []string{"q_proj"}
		f.DeviceTrainBatchSize, f.GradAccumulation, f.Epochs, f.SaveSteps, f.MaxSequenceLength = 2, 1, 2, 2, 32
	}, events.Finetune)
	p := s.ended(t, "r").Phases[events.Finetune]
	c := p.Completed
	wantAttempts(t, p.Attempts, 2)
	wantEqual(t, "the conclusion", c.Conclusion, events.Success)
	wantEqual(t, "training steps", c.Statistics["total_training_steps"], 8)
	if p.Attempts[1].Started.ResumedFrom == 0 {
		t.Error("the second attempt found no checkpoint")
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "was set aside") || !strings.Contains(c.Notes[0], "20 steps, this training has 8") {
		t.Errorf("notes: %q", c.Notes)
	}
	if !s.log.hasLine("checkpoint set aside", "attempt=2") {
		t.Error("the log does not show the checkpoint that was set aside")
	}
	steps := map[int64]int{}
	for _, p := range storedMetrics(t, s, c) {
		if p.Key == "loss" {
			steps[p.Step]++
		}
	}
	for step := int64(1); step <= 8; step++ {
		if steps[step] != 1 {
			t.Errorf("step %d is in the history %d times", step, steps[step])
		}
	}
	s.settled(t)
	for _, key := range s.keys(t, "r") {
		if strings.Contains(key, "checkpoint") {
			t.Errorf("%s is left over", key)
		}
	}
}

// content reads an artifact of inference.
func (s *testServer) content(t *testing.T, run events.Run, name string) string {
	t.Helper()
	ref, ok := run.Phases[events.Inference].Completed.Artifact(name)
	if !ok {
		t.Fatalf("no artifact %s", name)
	}
	r, err := s.store.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
