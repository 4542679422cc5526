package merge_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/merge"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// folders writes a small model, and an adapter for two of its modules in each
// layer that changes them.
func folders(t *testing.T, dtype string) (base, adapter string) {
	t.Helper()
	base, adapter = t.TempDir(), t.TempDir()
	m, err := llm.New(llm.Config{
		ModelType: "llama", VocabSize: 40, HiddenSize: 16, IntermediateSize: 24, Layers: 2, Heads: 2, KVHeads: 1, MaxPositions: 32, TieWordEmbeddings: true,
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(base, dtype); err != nil {
		t.Fatal(err)
	}
	if err := m.AttachLoRA(llm.LoRAConfig{Rank: 3, Alpha: 6, TargetModules: []string{"q_proj", "down_proj"}, Seed: 2}); err != nil {
		t.Fatal(err)
	}
	if err := m.SaveAdapter(adapter, "owner/base"); err != nil {
		t.Fatal(err)
	}
	// A new adapter changes nothing: B gets values.
	path := filepath.Join(adapter, "adapter_model.safetensors")
	all := read(t, adapter, path)
	var list []safetensors.Tensor
	for _, name := range slices.Sorted(keys(all)) {
		list = append(list, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: all[name].shape})
	}
	w, err := safetensors.Create(path, list)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		values := all[one.Name].values
		if strings.Contains(one.Name, "lora_B") {
			for i := range values {
				values[i] = float32(math.Sin(float64(i + len(one.Name))))
			}
		}
		err = errors.Join(err, w.Write(values))
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return base, adapter
}

type values struct {
	dtype  string
	shape  []int
	values []float32
}

func keys(m map[string]values) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// read reads the tensors of files, or of the checkpoint in dir.
func read(t *testing.T, dir string, paths ...string) map[string]values {
	t.Helper()
	if len(paths) == 0 {
		var err error
		if paths, err = llm.WeightFiles(dir); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]values{}
	for _, path := range paths {
		f, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range f.Tensors() {
			r, err := f.Values(one)
			if err != nil {
				t.Fatal(err)
			}
			v := values{one.DType, one.Shape, make([]float32, one.Size())}
			if err := r.Read(v.values); err != nil {
				t.Fatal(err)
			}
			out[one.Name] = v
		}
		_ = f.Close()
	}
	return out
}

// TestMerge: the merged weights are W + scale·B·A, rounded to their type, and
// all others are as they were.
func TestMerge(t *testing.T) {
	t.Parallel()
	for _, dtype := range []string{"float32", "bfloat16", "float16"} {
		t.Run(dtype, func(t *testing.T) {
			t.Parallel()
			base, adapter := folders(t, dtype)
			to := t.TempDir()
			read1 := int64(0)
			total, err := merge.Bytes(base)
			if err != nil {
				t.Fatal(err)
			}
			written, err := merge.Write(t.Context(), merge.Options{From: base, Adapter: adapter, To: to, OnBytes: func(n int64) { read1 += n }})
			if err != nil || (written.Rounded == "") != (dtype == "float32") {
				t.Fatalf("%+v, %v", written, err)
			}
			if read1 != total || total == 0 {
				t.Errorf("told of %d bytes of %d", read1, total)
			}
			before, low, after := read(t, base), read(t, "", filepath.Join(adapter, "adapter_model.safetensors")), read(t, to)
			if len(after) != len(before) {
				t.Fatalf("%d tensors of %d", len(after), len(before))
			}
			changed := 0
			for name, was := range before {
				is := after[name]
				if is.dtype != was.dtype || !slices.Equal(is.shape, was.shape) {
					t.Errorf("%s: %s %v, was %s %v", name, is.dtype, is.shape, was.dtype, was.shape)
				}
				module := "base_model.model." + strings.TrimSuffix(name, ".weight")
				a, adapted := low[module+".lora_A.weight"]
				if !adapted {
					if !slices.Equal(is.values, was.values) {
						t.Errorf("%s changed", name)
					}
					continue
				}
				changed++
				b := low[module+".lora_B.weight"]
				columns := was.shape[1]
				for i, v := range is.values {
					want := float64(was.values[i])
					for r := range 3 {
						want += 2 * float64(b.values[i/columns*3+r]) * float64(a.values[r*columns+i%columns])
					}
					if off := math.Abs(float64(v) - want); off > map[string]float64{"float32": 1e-6, "bfloat16": 1. / 256, "float16": 1. / 2048}[dtype]*max(1, math.Abs(want)) {
						t.Fatalf("%s[%d] = %v, want %v", name, i, v, want)
					}
				}
			}
			if changed != 4 {
				t.Errorf("%d weights were merged, want 4", changed)
			}
		})
	}
}

// TestShardsAndTypes: a limit parts the weights into files whose index leads to
// all of them, and another type is written where it is asked for.
func TestShardsAndTypes(t *testing.T) {
	t.Parallel()
	base, adapter := folders(t, "float32")
	to := t.TempDir()
	written, err := merge.Write(t.Context(), merge.Options{From: base, Adapter: adapter, To: to, DType: "bfloat16", ShardBytes: 3000})
	if err != nil || written.Rounded != "bfloat16" {
		t.Fatalf("%+v, %v", written, err)
	}
	files, err := llm.WeightFiles(to)
	if err != nil || len(files) < 3 || !strings.Contains(files[0], "-of-0000") {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() > 3000+2500 { // the header is not counted
			t.Errorf("%s: %v, %v", f, info.Size(), err)
		}
	}
	for name, v := range read(t, to) {
		if v.dtype != "BF16" {
			t.Errorf("%s is %s", name, v.dtype)
		}
	}
	config, err := os.ReadFile(filepath.Join(base, "config.json"))
	if err != nil || os.WriteFile(filepath.Join(to, "config.json"), config, 0o600) != nil {
		t.Fatal(err)
	}
	if _, err := llm.Open(to); err != nil {
		t.Fatal(err)
	}
}

// TestRefusals: what cannot be merged is an error that names it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	base, adapter := folders(t, "float32")
	other := t.TempDir()
	m, err := llm.New(llm.Config{
		ModelType: "llama", VocabSize: 40, HiddenSize: 16, IntermediateSize: 24, Layers: 1, Heads: 2, KVHeads: 1, MaxPositions: 32, TieWordEmbeddings: true,
	}, 1)
	if err != nil || m.Save(other, "float32") != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tokens := t.TempDir()
	config := map[string]any{"peft_type": "LORA", "trainable_token_indices": []int{1}, "r": 2}
	body, _ := json.Marshal(config) // of these values: never fails
	if err := os.WriteFile(filepath.Join(tokens, "adapter_config.json"), body, 0o600); err != nil {
		t.Fatal(err)
	}
	for says, c := range map[string]struct {
		ctx     context.Context
		options merge.Options
	}{
		"has no model.layers.1.mlp.down_proj": {t.Context(), merge.Options{From: other, Adapter: adapter}},
		"trainable_token_indices":             {t.Context(), merge.Options{From: base, Adapter: tokens}},
		`type "int8"`:                         {t.Context(), merge.Options{From: base, DType: "int8"}},
		"context canceled":                    {cancelled, merge.Options{From: base, Adapter: adapter}},
		"no such file":                        {t.Context(), merge.Options{From: adapter}},
	} {
		c.options.To = t.TempDir()
		if _, err := merge.Write(c.ctx, c.options); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

// TestAdaptersOfPEFT merges adapters with DoRA, patterns, biases and whole modules as
// PEFT does, see testdata/tuning.py of package llm.
func TestAdaptersOfPEFT(t *testing.T) {
	t.Parallel()
	const folder = "../testdata/tuning"
	var golden struct {
		Adapters map[string]struct{ Merged map[string][]float64 }
	}
	body, err := os.ReadFile(filepath.Join(folder, "golden.json"))
	if err == nil {
		err = json.Unmarshal(body, &golden)
	}
	if err != nil || len(golden.Adapters) == 0 {
		t.Fatalf("%d adapters (%v)", len(golden.Adapters), err)
	}
	for name, g := range golden.Adapters {
		to := t.TempDir()
		if _, err := merge.Write(t.Context(), merge.Options{From: filepath.Join(folder, "base"), Adapter: filepath.Join(folder, name), To: to, DType: "float32"}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		all := read(t, to, filepath.Join(to, "model.safetensors"))
		if _, untied := all["lm_head.weight"]; untied != (name == "saved" || name == "embedding") {
			t.Errorf("%s: a head of its own: %t", name, untied)
		}
		for tensor, got := range all {
			want := g.Merged[tensor]
			if len(want) < 2 {
				t.Errorf("%s: PEFT has no %s", name, tensor)
				continue
			}
			apart := max(1, len(got.values)/5)
			for i, v := range want[1:] {
				if math.Abs(float64(got.values[i*apart])-v) > 1e-6 {
					t.Errorf("%s: %s[%d] is %v, PEFT's %v", name, tensor, i*apart, got.values[i*apart], v)
				}
			}
		}
	}
}

// TestSeeing: an adapter on the text part of a model that sees is merged into the whole
// model, whose vision part stays as it is, under the names that its files have.
func TestSeeing(t *testing.T) {
	t.Parallel()
	const base = "../testdata/families/gemma3_seeing"
	to := t.TempDir()
	if _, err := merge.Write(t.Context(), merge.Options{From: base, Adapter: filepath.Join(base, "adapter"), To: to, DType: "float32"}); err != nil {
		t.Fatal(err)
	}
	before, after := read(t, base), read(t, to)
	changed := 0
	for name, was := range before {
		switch is := after[name]; {
		case slices.Equal(is.values, was.values):
		case strings.HasPrefix(name, "language_model.model.layers.") && strings.HasSuffix(name, "_proj.weight"):
			changed++
		default:
			t.Errorf("%s is not as it was", name)
		}
	}
	if len(after) != len(before) || changed != 49 {
		t.Errorf("%d tensors of %d, %d of them changed", len(after), len(before), changed)
	}
	config, err := os.ReadFile(filepath.Join(base, "config.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(to, "config.json"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// What is merged is what the adapter makes of the model.
	whole := t.TempDir()
	m, err := llm.Open(base)
	if err == nil {
		err = errors.Join(m.LoadAdapter(filepath.Join(base, "adapter")), m.MergeAdapter(), m.Save(whole, "float32"))
	}
	if err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	if m, err = llm.Open(to); err == nil {
		err = m.Save(again, "float32")
	}
	if err != nil {
		t.Fatal(err)
	}
	want := read(t, whole)
	for name, got := range read(t, again) {
		if !slices.Equal(got.values, want[name].values) {
			t.Errorf("%s differs", name)
		}
	}
}

// TestSeeingHead: a tied model that sees gets a head of its own beside its embedding, where
// the adapter has another embedding.
func TestSeeingHead(t *testing.T) {
	t.Parallel()
	const base = "../testdata/families/gemma3_seeing"
	adapter, to := t.TempDir(), t.TempDir()
	m, err := llm.Open(base)
	if err == nil {
		err = errors.Join(m.AttachLoRA(llm.LoRAConfig{Rank: 2, Alpha: 2, TargetModules: []string{"q_proj"}, ModulesToSave: []string{"embed_tokens"}}), m.SaveAdapter(adapter, base))
	}
	if err != nil {
		t.Fatal(err)
	}
	written, err := merge.Write(t.Context(), merge.Options{From: base, Adapter: adapter, To: to})
	all := read(t, to)
	if _, ok := all["language_model.lm_head.weight"]; err != nil || !written.Untied || !ok {
		t.Errorf("untied %t (%v): the head is at its place: %t", written.Untied, err, ok)
	}
}
