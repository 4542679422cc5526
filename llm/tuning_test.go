package llm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tuning is what testdata/tuning.py writes.
type tuning struct {
	Rows       [][][]int32 // of each step
	Row        []int32
	Optimizers map[string]goldenTraining
	Adapters   map[string]struct {
		goldenTraining
		Logits []float64 // behind the last token of Row
		Merged map[string][]float64
	}
}

const tuningFolder = "testdata/tuning"

func readTuning(t *testing.T) (g tuning) {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(tuningFolder, "golden.json"))
	if err == nil {
		err = json.Unmarshal(body, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func tuningBase(t *testing.T) *Model {
	t.Helper()
	m, err := Open(filepath.Join(tuningFolder, "base"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestOptimizers compares steps of each with torch's, bitsandbytes' and transformers'.
func TestOptimizers(t *testing.T) {
	t.Parallel()
	g := readTuning(t)
	if len(g.Optimizers) != 5 || len(g.Rows) < 10 {
		t.Fatalf("%d optimizers, %d steps", len(g.Optimizers), len(g.Rows))
	}
	for name, want := range g.Optimizers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := TrainConfig{MaxGradNorm: 1, WeightDecay: 0.1}
			method, momentum, _ := strings.Cut(name, " ")
			if cfg.Optimizer = method; momentum != "" {
				cfg.Momentum = 0.9
			}
			m, out := tuningBase(t), t.TempDir()
			compareSteps(t, name, trainerOf(t, m, cfg), g.Rows, want)
			if err := m.Save(out, "float32"); err != nil {
				t.Fatal(err)
			}
			compareWeights(t, name, filepath.Join(out, "model.safetensors"), want.After)
		})
	}
}
