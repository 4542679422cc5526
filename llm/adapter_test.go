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

	"github.com/tunebus/tunebus/llm/safetensors"
)

func dropping() *LoRAConfig { return &LoRAConfig{Rank: 3, Alpha: 6, Dropout: 0.4, Seed: 1} }

// TestDropout: a training drops inputs of the adapter, a validation does not.
// Package net compares the gradients.
func TestDropout(t *testing.T) {
	t.Parallel()
	m := scattered(t, shapes()["qwen2, grouped heads, tied"], dropping())
	rows := ragged(m.cfg)[:1]
	tr := trainerOf(t, m, TrainConfig{Seed: 9})
	loss := func(step int64) float64 {
		tr.step, tr.part = step, 0
		got, _, err := tr.backward(rows)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	whole, _ := newReference(m).loss(rows)
	if first, other := loss(7), loss(8); first != loss(7) || first == other || math.Abs(whole-first) < 1e-3 {
		t.Errorf("losses %.7f and %.7f of two steps, %.7f without dropout", first, other, whole)
	}
	if sum, err := tr.evaluate(t.Context(), newUsable(InMemory(rows))); err != nil || math.Abs(sum*float64(rows[0].Counted())-whole) > 1e-5*whole {
		t.Errorf("validation loss %v with dropout left on: %v", sum, err)
	}
}

// rewrite changes keys of an adapter_config.json; nil removes one.
func rewrite(t *testing.T, dir string, changes map[string]any) {
	t.Helper()
	path := filepath.Join(dir, configFile)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(body, &c); err != nil {
		t.Fatal(err)
	}
	for k, v := range changes {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	if body, err = json.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadAdapterReadsPEFT(t *testing.T) {
	t.Parallel()
	shape := shapes()["qwen2, grouped heads, tied"]
	for name, c := range map[string]struct {
		on      []string
		changes map[string]any
		fault   string
	}{
		"as saved":           {nil, nil, ""},
		"all-linear":         {nil, map[string]any{"target_modules": "all-linear"}, ""},
		"pattern":            {[]string{"q_proj", "v_proj"}, map[string]any{"target_modules": `.*self_attn\.(q|v)_proj`}, ""},
		"full paths":         {[]string{"o_proj"}, map[string]any{"target_modules": []string{"model.layers.0.self_attn.o_proj", "layers.1.self_attn.o_proj"}}, ""},
		"minimal":            {nil, map[string]any{"bias": nil, "use_rslora": nil, "fan_in_fan_out": nil, "task_type": nil, "lora_dropout": nil}, ""},
		"unknown keys":       {nil, map[string]any{"something_new": 3, "modules_to_save": []string{}, "rank_pattern": map[string]any{}}, ""},
		"bad pattern":        {nil, map[string]any{"target_modules": "(?!x)"}, "target_modules"},
		"nothing matches":    {nil, map[string]any{"target_modules": []string{"c_attn"}}, "c_attn"},
		"embeddings":         {nil, map[string]any{"target_modules": []string{"q_proj", "embed_tokens"}}, "embed_tokens"},
		"fewer than weights": {nil, map[string]any{"target_modules": []string{"q_proj"}}, "does not belong"},
		"other rank":         {nil, map[string]any{"r": 5}, "shape"},
		"dora":               {nil, map[string]any{"use_dora": true}, "lora_magnitude_vector: is missing"},
		"biases":             {nil, map[string]any{"bias": "all"}, "base_layer.bias: is missing"},
		"unknown biases":     {nil, map[string]any{"bias": "some"}, "bias"},
		"ranks by module":    {nil, map[string]any{"rank_pattern": map[string]int{"q_proj": 2}}, "shape"},
		"whole modules":      {nil, map[string]any{"modules_to_save": []string{"lm_head"}}, "lm_head.weight: is missing"},
		"no whole modules":   {nil, map[string]any{"modules_to_save": []string{"classifier"}}, "classifier"},
		"tokens":             {nil, map[string]any{"trainable_token_indices": []int{3}}, "trainable_token_indices"},
		"other method":       {nil, map[string]any{"peft_type": "IA3"}, "IA3"},
		"no method":          {nil, map[string]any{"peft_type": nil}, "peft_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := scattered(t, shape, &LoRAConfig{Rank: 3, Alpha: 6, TargetModules: c.on, Seed: 1})
			dir := t.TempDir()
			if err := m.SaveAdapter(dir, "base"); err != nil {
				t.Fatal(err)
			}
			rewrite(t, dir, c.changes)
			want := m.lora
			m.lora = nil
			err := m.LoadAdapter(dir)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("got %v, want an error that names %s", err, c.fault)
				}
				if m.lora != nil {
					t.Error("a bad adapter is on the model")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(m.lora.params) != len(want.params) || m.lora.modules[0].scale != want.modules[0].scale {
				t.Fatalf("%d matrices scaled by %v, want %d by %v", len(m.lora.params), m.lora.modules[0].scale, len(want.params), want.modules[0].scale)
			}
			for i, p := range want.params {
				if !slices.Equal(m.lora.params[i].data, p.data) {
					t.Errorf("%s differs", p.name)
				}
			}
		})
	}
}

func TestDamagedAdapter(t *testing.T) {
	t.Parallel()
	m := scattered(t, shapes()["llama, untied, wide heads"], &LoRAConfig{Rank: 2, Alpha: 2})
	dir := t.TempDir()
	if err := m.SaveAdapter(dir, ""); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, adapterFile)
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	var bad *CheckpointError
	if err := m.LoadAdapter(dir); !errors.As(err, &bad) || bad.File != file || !errors.Is(err, safetensors.ErrTruncated) {
		t.Errorf("got %v, want a truncated %s", err, file)
	}
}

func TestAttachLoRARefuses(t *testing.T) {
	t.Parallel()
	m := scattered(t, shapes()["llama, untied, wide heads"], nil)
	for name, cfg := range map[string]LoRAConfig{
		"rank": {Alpha: 1}, "dropout of all": {Rank: 1, Dropout: 1}, "negative dropout": {Rank: 1, Dropout: -0.1},
		"dropout that is no number": {Rank: 1, Dropout: math.NaN()}, "module": {Rank: 1, TargetModules: []string{"lm_head"}},
	} {
		if err := m.AttachLoRA(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
