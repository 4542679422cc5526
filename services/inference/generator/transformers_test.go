//go:build trl

package generator_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference"
	"github.com/tunebus/tunebus/services/inference/generator"
)

// TestTransformers: the real packages give the answers of the built-in engine, where always
// the likeliest token is taken. "make test-trl" runs it with its environment.
func TestTransformers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, 20)
	module, err := filepath.Abs(filepath.Join("..", "..", "..", "trainers", "python"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(s *events.Specification) {
		small(s)
		s.Inferencer.DType, s.Inferencer.MaxNewTokens, s.Inferencer.BatchSize = "float32", 16, 4
	}
	e := generator.New(generator.Config{
		Command: []string{os.Getenv("TRL_PYTHON"), "-m", "tunebus_trainer.generate"}, Environ: os.Environ(), Environment: []string{"PYTHONPATH=" + module}, Folder: t.TempDir(),
	})
	got := workertest.Lines[prediction.Prediction](t, h, h.Run(t, e, events.Inference, events.Inputs{}, change), events.ArtifactPredictions)
	h.Engine = engine.Builtin
	want := workertest.Lines[prediction.Prediction](t, h, h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, change), events.ArtifactPredictions)
	for i := range want {
		if got[i].Answer != want[i].Answer || got[i].Question != want[i].Question {
			t.Errorf("row %d: %q, the built-in engine answers %q", i, got[i].Answer, want[i].Answer)
		}
	}
}
