package llm

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestTypesOfWeights: what is written in a type reads back as the nearest
// values of that type.
func TestTypesOfWeights(t *testing.T) {
	t.Parallel()
	m := scattered(t, shapes()["llama, untied, wide heads"], nil)
	// What the types differ in: small, large, and between two values.
	copy(m.params[0].data, []float32{0, 1, -1, 6.1035156e-05, 5.9604645e-08, 65504, 1.0009765, 1.00048828125, 3.14159265, -2.5e-5})
	for dtype, c := range map[string]struct {
		bits  float64 // of the fraction, with the hidden one
		least float64 // below this, steps no longer shrink
	}{
		"float32": {24, 0}, "bfloat16": {8, 0}, "float16": {11, 0x1p-14},
	} {
		dir := t.TempDir()
		if err := m.Save(dir, dtype); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range m.params {
			for j, v := range p.data {
				got := float64(again.params[i].values()[j])
				// Half of the distance between two neighbours, at most.
				_, exp := math.Frexp(math.Max(math.Abs(float64(v)), c.least))
				if off := math.Abs(got - float64(v)); off > math.Ldexp(0.5, exp-int(c.bits)) {
					t.Errorf("%s: %s[%d] is %v, was %v", dtype, p.name, j, got, v)
				}
			}
		}
		var config struct {
			TorchDType string `json:"torch_dtype"`
		}
		body, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil || json.Unmarshal(body, &config) != nil || config.TorchDType != dtype {
			t.Errorf("config.json says %q of %s (%v)", config.TorchDType, dtype, err)
		}
	}
	if err := m.Save(t.TempDir(), "int8"); err == nil {
		t.Error("a type that nobody knows was written")
	}
}

// shard splits a checkpoint into three files, as Hugging Face does with large
// ones.
func shard(t *testing.T, m *Model) string {
	t.Helper()
	dir := t.TempDir()
	if err := m.Save(dir, "float32"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	parts := map[string][]*param{}
	where := map[string]string{}
	for i, p := range m.params {
		name := []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"}[i%3]
		parts[name], where[p.name] = append(parts[name], p), name
	}
	for name, params := range parts {
		if err := writeTensors(filepath.Join(dir, name), "float32", params); err != nil {
			t.Fatal(err)
		}
	}
	index(t, dir, where)
	return dir
}

func index(t *testing.T, dir string, where map[string]string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": where})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestShards(t *testing.T) {
	t.Parallel()
	m := scattered(t, shapes()["qwen2, grouped heads, tied"], nil)
	dir := shard(t, m)
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range m.params {
		if !slices.Equal(again.params[i].data, p.data) {
			t.Errorf("%s differs", p.name)
		}
	}
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00003.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "model-00002") {
		t.Errorf("without a shard: %v", err)
	}
	index(t, dir, map[string]string{"model.norm.weight": "../elsewhere.safetensors"})
	var bad *CheckpointError
	if _, err := Open(dir); !errors.As(err, &bad) || !strings.Contains(err.Error(), "outside") {
		t.Errorf("a shard elsewhere: %v", err)
	}
}

// TestAdapterIsWrittenAsPEFTWritesIt: the keys that PEFT's own readers want,
// and its names of tensors.
func TestAdapterIsWrittenAsPEFTWritesIt(t *testing.T) {
	t.Parallel()
	m := scattered(t, shapes()["qwen2, grouped heads, tied"], &LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.1, TargetModules: []string{"q_proj", "down_proj"}, RSLoRA: true})
	dir := t.TempDir()
	if err := m.SaveAdapter(dir, "owner/base"); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "owner/base", "r": 3., "lora_alpha": 6., "lora_dropout": 0.1,
		"target_modules": []any{"q_proj", "down_proj"}, "bias": "none", "use_rslora": true, "inference_mode": true, "fan_in_fan_out": false,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("adapter_config.json has\n%v\nwant\n%v", got, want)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]struct {
		DType   string
		Shape   []int
		Offsets []int `json:"data_offsets"`
	}
	n := binary.LittleEndian.Uint64(raw)
	if err := json.Unmarshal(raw[8:8+n], &header); err != nil || n%8 != 0 {
		t.Fatalf("%v, a header of %d bytes", err, n)
	}
	shapes := map[string][]int{}
	for name, h := range header {
		if shapes[name] = h.Shape; name != "__metadata__" && h.DType != "F32" {
			t.Errorf("%s is %s", name, h.DType)
		}
	}
	delete(shapes, "__metadata__")
	wants := map[string][]int{}
	for _, layer := range []string{"0", "1"} {
		p := "base_model.model.model.layers." + layer + "."
		wants[p+"self_attn.q_proj.lora_A.weight"], wants[p+"self_attn.q_proj.lora_B.weight"] = []int{3, 12}, []int{16, 3}
		wants[p+"mlp.down_proj.lora_A.weight"], wants[p+"mlp.down_proj.lora_B.weight"] = []int{3, 20}, []int{12, 3}
	}
	if !reflect.DeepEqual(shapes, wants) {
		t.Errorf("tensors %v, want %v", shapes, wants)
	}
}

// TestNewAdapters: on each projection by itself; A within 1/√in, B zero, so
// that a new adapter changes nothing; scaled by alpha/r.
func TestNewAdapters(t *testing.T) {
	t.Parallel()
	m := scattered(t, shapes()["llama, untied, wide heads"], nil)
	for _, projection := range Projections() {
		if err := m.AttachLoRA(LoRAConfig{Rank: 4, Alpha: 8, TargetModules: []string{projection}, Seed: 5}); err != nil {
			t.Fatal(err)
		}
		a := m.lora
		if len(a.params) != 2*m.cfg.Layers || a.modules[0].scale != 2 {
			t.Errorf("%s: %d matrices, scaled by %v", projection, len(a.params), a.modules[0].scale)
		}
		for i := 0; i < len(a.params); i += 2 {
			first, second := a.params[i], a.params[i+1]
			base := m.byName[strings.TrimSuffix(first.name, loraA)+".weight"]
			if !strings.HasSuffix(first.name, projection+loraA) || !slices.Equal(first.shape, []int{4, base.shape[1]}) || !slices.Equal(second.shape, []int{base.shape[0], 4}) {
				t.Errorf("%s: %s has shape %v, %s %v", projection, first.name, first.shape, second.name, second.shape)
			}
			bound := 1 / math.Sqrt(float64(base.shape[1]))
			least, most, sum := slices.Min(first.data), slices.Max(first.data), 0.0
			for _, v := range first.data {
				sum += float64(v) * float64(v)
			}
			// A uniform distribution has the variance bound²/3.
			if v := sum / float64(len(first.data)) / (bound * bound); float64(least) < -bound || float64(most) > bound || v < 0.15 || v > 0.55 {
				t.Errorf("%s: A lies from %v to %v, the bound is %v", first.name, least, most, bound)
			}
			if slices.ContainsFunc(second.data, func(v float32) bool { return v != 0 }) {
				t.Errorf("%s is not zero", second.name)
			}
		}
		m.lora = nil
	}
}
