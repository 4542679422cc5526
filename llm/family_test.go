package llm

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/net"
)

// golden is what testdata/families.py writes of a family.
type golden struct {
	Rows             [][][]int32 // of each step
	Row              []int32
	Logits, Middle   []float64 // behind the last token of Row, and the middle one
	Prompts, Answers [][]int32
	Lora, Full       goldenTraining
}

type goldenTraining struct {
	Rate          float64
	Losses, Norms []float64
	After         map[string][]float64 // the rows of each tensor, and some of its numbers
}

// TestFamilies compares every family with what torch, transformers and PEFT compute:
// logits, greedy answers, and twenty steps of LoRA and of all weights.
func TestFamilies(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("testdata/families/*")
	if err != nil || len(folders) != len(families())+len(seeing()) {
		t.Fatalf("%d families have goldens, %d are known (%v)", len(folders), len(families()), err)
	}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var g golden
			body, err := os.ReadFile(filepath.Join(dir, "golden.json"))
			if err == nil {
				err = json.Unmarshal(body, &g)
			}
			if err != nil {
				t.Fatal(err)
			}
			open := func() *Model {
				m, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
			if report, err := Inspect(dir); err != nil || report.Untied {
				t.Errorf("Inspect: %+v, %v", report, err)
			}
			compareLogits(t, open(), g)
			compareAnswers(t, open(), g)

			adapted := open()
			if err := adapted.LoadAdapter(filepath.Join(dir, "adapter")); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "adapter")
			compareTraining(t, "LoRA", adapted, g.Rows, g.Lora)
			if err := adapted.SaveAdapter(out, "base"); err != nil {
				t.Fatal(err)
			}
			compareWeights(t, "LoRA", filepath.Join(out, adapterFile), g.Lora.After)

			whole := open()
			compareTraining(t, "all weights", whole, g.Rows, g.Full)
			if err := whole.Save(out, "float32"); err != nil {
				t.Fatal(err)
			}
			compareWeights(t, "all weights", filepath.Join(out, "model.safetensors"), g.Full.After)
			if again, err := Open(out); err != nil || again.cfg.family().architecture != whole.cfg.family().architecture {
				t.Errorf("what was saved cannot be opened: %v", err)
			}
		})
	}
}

func compareLogits(t *testing.T, m *Model, g golden) {
	t.Helper()
	d := m.decoder()
	cache := d.NewCache(1)
	cache.Place(0, 0)
	var tokens []net.Token
	middle := len(g.Row) / 2
	for i, id := range g.Row {
		tokens = append(tokens, net.Token{ID: id, Position: i, Last: i == middle || i == len(g.Row)-1})
	}
	for _, part := range []struct {
		tokens []net.Token
		want   []float64
	}{{tokens[:middle+1], g.Middle}, {tokens[middle+1:], g.Logits}} {
		if err := d.Read(cache, part.tokens, nil); err != nil {
			t.Fatal(err)
		}
		for i, got := range d.Logits(0) {
			if math.Abs(float64(got)-part.want[i]) > 1e-4 {
				t.Fatalf("logit %d behind %d tokens is %v, torch's %v", i, part.tokens[len(part.tokens)-1].Position+1, got, part.want[i])
			}
		}
	}
}

func compareAnswers(t *testing.T, m *Model, g golden) {
	t.Helper()
	answers := make([][]int32, len(g.Prompts))
	err := m.Generate(t.Context(), g.Prompts, GenerateConfig{MaxNewTokens: 12}, func(i int, ids []int32) error {
		answers[i] = ids
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range g.Answers {
		if !slices.Equal(answers[i], want) {
			t.Errorf("prompt %d: %v, transformers answers %v", i, answers[i], want)
		}
		if i > 0 && slices.Equal(want, g.Answers[0]) {
			t.Errorf("prompts 0 and %d have the same answer", i)
		}
	}
}

func compareTraining(t *testing.T, what string, m *Model, steps [][][]int32, want goldenTraining) {
	t.Helper()
	compareSteps(t, what, trainerOf(t, m, TrainConfig{MaxGradNorm: 1}), steps, want)
	if len(steps) != 20 || len(want.Losses) != 20 {
		t.Errorf("%d steps, want 20", len(steps))
	}
}

// compareSteps has a trainer make steps, and compares each with torch's.
func compareSteps(t *testing.T, what string, tr *trainer, steps [][][]int32, want goldenTraining) {
	t.Helper()
	for step, rows := range steps {
		var batch []Example
		for _, ids := range rows {
			e := Example{IDs: ids, Count: make([]bool, len(ids))}
			for i := 2; i < len(ids); i++ {
				e.Count[i] = true
			}
			batch = append(batch, e)
		}
		tr.optimizer.Clear()
		sum, n, err := tr.backward(batch)
		if err != nil {
			t.Fatal(err)
		}
		norm, err := tr.update(want.Rate, 1/float64(n))
		if err != nil {
			t.Fatal(err)
		}
		tr.step++
		if loss := sum / float64(n); math.Abs(loss-want.Losses[step]) > 1e-5*want.Losses[step] {
			t.Errorf("%s, step %d: the loss is %v, torch's %v", what, step+1, loss, want.Losses[step])
		}
		if math.Abs(norm-want.Norms[step]) > 1e-4*want.Norms[step] {
			t.Errorf("%s, step %d: the norm of the gradients is %v, torch's %v", what, step+1, norm, want.Norms[step])
		}
	}
}

func compareWeights(t *testing.T, what, path string, want map[string][]float64) {
	t.Helper()
	left := len(want)
	err := readTensors(path, func(name string, shape []int) ([]float32, error) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		w, ok := want[name]
		if !ok || float64(shape[0]) != w[0] {
			t.Errorf("%s: %s of %d rows: torch has %v", what, name, shape[0], w)
			return nil, nil
		}
		left--
		got := make([]float32, n)
		t.Cleanup(func() {
			apart := max(1, n/5)
			for i, v := range w[1:] {
				if d := math.Abs(float64(got[i*apart]) - v); d > 2e-4 {
					t.Errorf("%s: %s[%d] is %v, torch's %v", what, name, i*apart, got[i*apart], v)
				}
			}
		})
		return got, nil
	})
	if err != nil || left != 0 {
		t.Errorf("%s: %d tensors are missing (%v)", what, left, err)
	}
}

// TestProjectionsOfFamilies: an adapter is put on modules that have names of [Projections]
// or [FusedProjections], each family has some, and each name is one of a family.
func TestProjectionsOfFamilies(t *testing.T) {
	t.Parallel()
	all, found := slices.Concat(Projections(), FusedProjections()), map[string]bool{}
	for name := range families() {
		c := Config{ModelType: name, HiddenSize: 8, Heads: 2, KVHeads: 1, HeadDim: 4, IntermediateSize: 8}
		for _, p := range c.projections() {
			if found[p] = true; !slices.Contains(all, p) {
				t.Errorf("%s has %s", name, p)
			}
		}
	}
	if len(found) != len(all) {
		t.Errorf("the families have %v, want %v", found, all)
	}
}
