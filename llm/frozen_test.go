package llm

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// keptBases are checkpoints whose matrices stay in the type that they are stored in, or
// are quantised, and how to open them.
func keptBases(t *testing.T) map[string]func() (*Model, error) {
	t.Helper()
	m := small(t, nil)
	out := map[string]func() (*Model, error){}
	for _, dtype := range []string{"float32", "float16", "bfloat16"} {
		dir := t.TempDir()
		if err := m.Save(dir, dtype); err != nil {
			t.Fatal(err)
		}
		if dtype != "float32" {
			out[dtype] = func() (*Model, error) { return Open(dir) }
		}
		out[dtype+" in 4 bits"] = func() (*Model, error) { return OpenQuantised(dir, 4) }
		out[dtype+" in 8 bits"] = func() (*Model, error) { return OpenQuantised(dir, 8) }
	}
	for _, kind := range []string{"double", "single"} {
		out["nf4, "+kind] = func() (*Model, error) { return Open(filepath.Join("testdata", "nf4", kind)) }
	}
	return out
}

// TestKeptBases: a base whose matrices are kept in fewer bits trains an adapter and
// answers as one that has their numbers in float32, bit by bit; the latter is what
// becomes of it as a whole, when it is saved, merged, or trained itself.
func TestKeptBases(t *testing.T) {
	t.Parallel()
	for name, open := range keptBases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := open()
			if err != nil {
				t.Fatal(err)
			}
			four := strings.Contains(name, "bits") || strings.HasPrefix(name, "nf4")
			for _, p := range m.params {
				kept := len(p.shape) == 2 && !(four && !m.cfg.isProjection(strings.TrimSuffix(p.name, ".weight")) && strings.HasPrefix(name, "float32"))
				if (p.kept != nil) != kept || (p.data != nil) == kept {
					t.Errorf("%s is kept: %t, want %t", p.name, p.kept != nil, kept)
				}
			}
			whole := t.TempDir()
			if err := m.Save(whole, "float32"); err != nil {
				t.Fatal(err)
			}
			learn := func(m *Model, adapter bool) []float32 {
				if adapter {
					if err := m.AttachLoRA(LoRAConfig{Rank: 3, Alpha: 6, Seed: 2}); err != nil {
						t.Fatal(err)
					}
				}
				var out []float32
				_, err := m.Train(t.Context(), lessons(m), lessons(m), TrainConfig{BatchSize: 2, Epochs: 2, LearningRate: 1e-2, MaxGradNorm: 1, Seed: 1}, Hooks{OnStep: func(i StepInfo) {
					out = append(out, float32(i.Loss), float32(i.GradNorm))
				}}, "")
				if err != nil {
					t.Fatal(err)
				}
				for _, ids := range answers(t, m, [][]int32{{1, 2, 3}, {4}}, GenerateConfig{MaxNewTokens: 6}) {
					for _, id := range ids {
						out = append(out, float32(id))
					}
				}
				if adapter {
					if err := m.MergeAdapter(); err != nil {
						t.Fatal(err)
					}
				}
				for _, p := range m.params {
					out = append(out, p.values()...)
				}
				return out
			}
			for _, adapter := range []bool{true, false} {
				m, err := open()
				full, errFull := Open(whole)
				if err := errors.Join(err, errFull); err != nil {
					t.Fatal(err)
				}
				got, want := learn(m, adapter), learn(full, adapter)
				if len(got) != len(want) {
					t.Fatalf("%d numbers, in float32 %d", len(got), len(want))
				}
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("adapter %t: number %d of %d is %v, in float32 it is %v", adapter, i, len(want), got[i], want[i])
					}
				}
			}
		})
	}
}

// TestDamagedMatrices: a number that is none is named with its place, whatever the type.
func TestDamagedMatrices(t *testing.T) {
	t.Parallel()
	for _, dtype := range []string{"float32", "float16", "bfloat16"} {
		m, dir := small(t, nil), t.TempDir()
		if err := m.Save(dir, dtype); err != nil {
			t.Fatal(err)
		}
		m.byName["model.layers.1.mlp.up_proj.weight"].data[5] = float32(math.Inf(-1))
		writeAny(t, m, filepath.Join(dir, "model.safetensors"), dtype)
		for _, bits := range []int{0, 4, 8} {
			_, err := open(dir, bits)
			if fault, ok := errors.AsType[*CheckpointError](err); !ok || fault.Tensor != "model.layers.1.mlp.up_proj.weight" || !strings.Contains(err.Error(), "value 6 of") || !strings.Contains(err.Error(), "-Inf") {
				t.Errorf("%s, %d bits: %v", dtype, bits, err)
			}
		}
	}
	if _, err := OpenQuantised("testdata", 3); err == nil || !strings.Contains(err.Error(), "want 4 or 8") {
		t.Errorf("3 bits: %v", err)
	}
}

// TestHeadOfItsOwn: a tied model of sixteen bits whose file has the head too is tied only
// if both are equal.
func TestHeadOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, same := range []bool{true, false} {
		m := small(t, nil)
		if !m.cfg.TieWordEmbeddings {
			t.Fatal("the model is not tied")
		}
		head := &param{name: headName, shape: m.byName[embedName].shape, data: slices.Clone(m.byName[embedName].data)}
		if !same {
			head.data[7]++
		}
		m.params = append(m.params, head)
		dir := t.TempDir()
		if err := m.Save(dir, "bfloat16"); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir)
		if err != nil || again.cfg.TieWordEmbeddings != same {
			t.Errorf("equal %t: tied %t, %v", same, again.cfg.TieWordEmbeddings, err)
		}
	}
}

// TestQuantisedAsBitsandbytes: what becomes of a checkpoint in 4 bits is what
// bitsandbytes made of it, and in 8 bits so, too, but for the rounding of the products.
func TestQuantisedAsBitsandbytes(t *testing.T) {
	t.Parallel()
	plain := filepath.Join("testdata", "nf4", "plain")
	got, err := OpenQuantised(plain, 4)
	want, errWant := Open(filepath.Join("testdata", "nf4", "double"))
	eight, errEight := OpenQuantised(plain, 8)
	body, errBody := os.ReadFile(filepath.Join(plain, "eight.json"))
	var golden map[string][]float32
	if err := errors.Join(err, errWant, errEight, errBody, json.Unmarshal(body, &golden)); err != nil {
		t.Fatal(err)
	}
	if len(golden) != 6 { // all projections but v_proj
		t.Fatalf("%d weights in 8 bits", len(golden))
	}
	differ, all := 0, 0
	for name, values := range golden {
		theirs := want.byName[name].values()
		for i, v := range got.byName[name].values() {
			all++
			if v != theirs[i] {
				differ++
				if math.Abs(float64(v-theirs[i])) > 0.005*math.Abs(float64(theirs[i])) {
					t.Fatalf("%s[%d] is %v, bitsandbytes has %v", name, i, v, theirs[i])
				}
			}
		}
		data := eight.byName[name].values()
		apart := max(1, len(data)/300)
		for i, v := range values {
			if math.Abs(float64(data[i*apart]-v)) > 1e-6*math.Abs(float64(v)) {
				t.Fatalf("%s[%d] is %v in 8 bits, bitsandbytes has %v", name, i*apart, data[i*apart], v)
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d weights differ", differ, all)
	}
}
