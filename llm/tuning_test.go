package llm

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/net"
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
	if len(g.Optimizers) != 8 || len(g.Rows) < 10 {
		t.Fatalf("%d optimizers, %d steps", len(g.Optimizers), len(g.Rows))
	}
	for name, want := range g.Optimizers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := TrainConfig{MaxGradNorm: 1, WeightDecay: 0.1}
			method, with, _ := strings.Cut(name, " ")
			switch cfg.Optimizer = method; with {
			case "betas":
				cfg.Beta1, cfg.Beta2, cfg.Epsilon = 0.7, 0.95, 1e-4
			case "momentum":
				cfg.Momentum = 0.9
			case "dampening":
				cfg.Momentum, cfg.Dampening = 0.9, 0.3
			case "nesterov":
				cfg.Momentum, cfg.Nesterov = 0.9, true
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

// TestAdapters compares adapters of every kind with PEFT: logits, steps, the adapter that
// is written, and the model that it is merged into.
func TestAdapters(t *testing.T) {
	t.Parallel()
	g := readTuning(t)
	if len(g.Adapters) != 9 {
		t.Fatalf("%d adapters", len(g.Adapters))
	}
	for name, want := range g.Adapters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(tuningFolder, name)
			open := func(from string) *Model {
				m := tuningBase(t)
				if err := m.LoadAdapter(from); err != nil {
					t.Fatal(err)
				}
				return m
			}
			m, out := open(folder), t.TempDir()
			if err := InspectAdapter(folder, m.Config()); err != nil {
				t.Error(err)
			}
			compareLast(t, m, g.Row, want.Logits)
			if err := m.MergeAdapter(); err != nil {
				t.Fatal(err)
			}
			compareLast(t, m, g.Row, want.Logits)
			if err := m.Save(out, "float32"); err != nil {
				t.Fatal(err)
			}
			if m.cfg.TieWordEmbeddings {
				delete(want.Merged, headName)
			}
			compareWeights(t, "merged", filepath.Join(out, "model.safetensors"), want.Merged)

			m = open(folder)
			compareSteps(t, name, trainerOf(t, m, TrainConfig{MaxGradNorm: 1}), g.Rows, want.goldenTraining)
			after := filepath.Join(t.TempDir(), "adapter")
			if err := m.SaveAdapter(after, "base"); err != nil {
				t.Fatal(err)
			}
			compareWeights(t, name, filepath.Join(after, adapterFile), want.After)
			compareLast(t, open(after), g.Row, lastLogits(t, m, g.Row))
		})
	}
}

// lastLogits are those behind the last token of a row.
func lastLogits(t *testing.T, m *Model, row []int32) []float64 {
	t.Helper()
	d := m.decoder()
	cache := d.NewCache(1)
	cache.Place(0, 0)
	var tokens []net.Token
	for i, id := range row {
		tokens = append(tokens, net.Token{ID: id, Position: i, Last: i == len(row)-1})
	}
	if err := d.Read(cache, tokens, nil); err != nil {
		t.Fatal(err)
	}
	var out []float64
	for _, v := range d.Logits(0) {
		out = append(out, float64(v))
	}
	return out
}

func compareLast(t *testing.T, m *Model, row []int32, want []float64) {
	t.Helper()
	for i, got := range lastLogits(t, m, row) {
		if math.Abs(got-want[i]) > 1e-4 {
			t.Fatalf("logit %d is %v, PEFT's %v", i, got, want[i])
		}
	}
}
