package llm

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/peft"
	"github.com/tunebus/tunebus/llm/safetensors"
)

const seeingFolder = "testdata/families/gemma3_seeing"

// renamed copies the tensors of a file under other names.
func renamed(t *testing.T, from, to string, rename func(string) string) {
	t.Helper()
	f, err := safetensors.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var tensors []safetensors.Tensor
	for _, one := range f.Tensors() {
		one.Name = rename(one.Name)
		tensors = append(tensors, one)
	}
	w, err := safetensors.Create(to, tensors)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range f.Tensors() {
		r, err := f.Raw(one)
		if err == nil {
			err = w.Copy(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// copied copies a file into a folder.
func copied(t *testing.T, path, dir string) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, filepath.Base(path)), body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestSeeingNames: the text part of a model that sees is the same under the names of
// older and of newer versions of transformers, and so is an adapter on it, also one that
// is on the vision part too.
func TestSeeingNames(t *testing.T) {
	t.Parallel()
	newer := t.TempDir()
	copied(t, filepath.Join(seeingFolder, "config.json"), newer)
	renamed(t, filepath.Join(seeingFolder, WholeFile), filepath.Join(newer, WholeFile), func(name string) string {
		if rest, ok := strings.CutPrefix(name, oldPartPrefix); ok {
			return partPrefix + rest
		}
		return "model." + name
	})
	older := filepath.Join(newer, "adapter")
	if err := os.Mkdir(older, 0o700); err != nil {
		t.Fatal(err)
	}
	copied(t, filepath.Join(seeingFolder, "adapter", configFile), older)
	of := peftPrefix + partPrefix + "layers.0.self_attn.q_proj"
	renamed(t, filepath.Join(seeingFolder, "adapter", adapterFile), filepath.Join(older, adapterFile), func(name string) string {
		return strings.Replace(name, peftPrefix+partPrefix, peftPrefix+oldPartPrefix, 1)
	})
	var answers [2][]*param
	for i, dir := range []string{seeingFolder, newer} {
		seen, err := Inspect(dir)
		if err != nil || !seen.Sees || seen.Vision != 34 {
			t.Errorf("%s: Inspect: %t, %d tensors of the vision part, %v", dir, seen.Sees, seen.Vision, err)
		}
		m, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(InspectAdapter(filepath.Join(dir, "adapter"), m.Config()), m.LoadAdapter(filepath.Join(dir, "adapter"))); err != nil {
			t.Fatal(err)
		}
		answers[i] = m.all()
		if out := t.TempDir(); m.SaveAdapter(out, "base") != nil {
			t.Error("the adapter cannot be saved")
		} else if a, err := OpenAdapter(out); err != nil {
			t.Error(err)
		} else {
			if _, ok := a.file.Find(of + loraA); !ok {
				t.Errorf("the adapter has no %s, which PEFT wants", of+loraA)
			}
			if modules, err := a.Modules(); err != nil || !slices.Contains(modules, "model.layers.0.self_attn.q_proj") {
				t.Errorf("modules %v, %v", modules, err)
			}
			if ex := a.described.Exclude.Pattern; ex != `.*vision_tower.*` {
				t.Errorf("exclude_modules = %q", ex)
			}
			_ = a.Close()
		}
	}
	for i, p := range answers[0] {
		if q := answers[1][i]; p.name != q.name || !slices.Equal(p.values(), q.values()) {
			t.Errorf("%s differs from %s", p.name, q.name)
		}
	}
}

// TestSeeingAdapterOnVision: of an adapter that PEFT put on both parts, that on the
// vision part is left out.
func TestSeeingAdapterOnVision(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	copied(t, filepath.Join(seeingFolder, "adapter", configFile), dir)
	rewrite(t, dir, map[string]any{"exclude_modules": nil, "target_modules": []string{"q_proj"}})
	renamed(t, filepath.Join(seeingFolder, "adapter", adapterFile), filepath.Join(dir, adapterFile), func(name string) string {
		if strings.Contains(name, "q_proj") {
			return name
		}
		return strings.Replace(name, "language_model.", "vision_tower.encoder.", 1)
	})
	m, err := Open(seeingFolder)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(InspectAdapter(dir, m.Config()), m.LoadAdapter(dir)); err != nil || len(m.lora.modules) != m.cfg.Layers {
		t.Errorf("%d modules, %v", len(m.lora.modules), err)
	}
}

// TestSeeingFaults: names in errors are those of the file.
func TestSeeingFaults(t *testing.T) {
	t.Parallel()
	for broken, want := range map[string]string{
		"language_model.model.norm.weight":         "tensor model.language_model.norm.weight: is missing",
		"language_model.model.embed_tokens.weight": "tensor audio_tower.weight: is unknown",
	} {
		dir := t.TempDir()
		copied(t, filepath.Join(seeingFolder, "config.json"), dir)
		renamed(t, filepath.Join(seeingFolder, WholeFile), filepath.Join(dir, WholeFile), func(name string) string {
			if name != broken {
				return name
			}
			if strings.Contains(want, "missing") {
				return "vision_tower.weight"
			}
			return "audio_tower.weight"
		})
		if _, err := Inspect(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Inspect: %v, want %q", err, want)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open: %v, want %q", err, want)
		}
	}
}

// TestSeeingConfig: a config.json leaves out what is the default of the class, and says
// of the whole model what is true of its text part.
func TestSeeingConfig(t *testing.T) {
	t.Parallel()
	write := func(body string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	got, err := readConfig(write(`{"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106], "vision_config": {"hidden_size": 1152},
		"text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		ModelType: "gemma3_text", VocabSize: 262208, HiddenSize: 2560, IntermediateSize: 10240, Layers: 34, Heads: 8, KVHeads: 4, HeadDim: 256, MaxPositions: 131072,
		RMSNormEps: 1e-6, RopeTheta: 1e6, RopeLocalTheta: 1e4, TieWordEmbeddings: true, HiddenAct: geluTanh, HiddenActivation: geluTanh, InitializerRange: 0.02, QueryScalar: 256, SlidingWindow: new(1024),
		RopeScaling: &RopeScaling{Type: ropeLinear, Factor: 8}, EOSTokenID: []any{1.0, 106.0}, sees: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	for layer, slides := range map[int]bool{0: true, 4: true, 5: false, 6: true, 11: false} {
		if got.family().window(got, layer) != slides {
			t.Errorf("layer %d: it sees a window: %t", layer, !slides)
		}
	}
	for body, want := range map[string]string{
		`{"model_type": "gemma3", "text_config": {"model_type": "gemma3n_text"}}`:           `architecture "gemma3n_text" is unknown`,
		`{"model_type": "gemma3", "text_config": {"hidden_size": "wide"}}`:                  "hidden_size is of the type string; want a whole number",
		`{"model_type": "gemma3", "text_config": 7}`:                                        "text_config: it is of the type number; want an object",
		`{"model_type": "paligemma", "text_config": {"model_type": "gemma"}}`:               "gemma2, gemma3, gemma3_text, granite",
		`{"model_type": "gemma3", "text_config": {"use_bidirectional_attention": true}}`:    "use_bidirectional_attention",
		`{"model_type": "gemma3", "tie_word_embeddings": "x", "text_config": {}}`:           "tie_word_embeddings is of the type string; want true or false",
		`{"model_type": "gemma3", "text_config": {"num_hidden_layers": -1}}`:                "num_hidden_layers is -1",
		`{"model_type": "gemma3", "text_config": {"num_key_value_heads": 3}}`:               "want a multiple of num_key_value_heads",
		`{"model_type": "gemma3", "text_config": {"rope_scaling": {"rope_type": "magic"}}}`: `rope_type "magic" is unknown`,
	} {
		if _, err := readConfig(write(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// TestBesideVision: what an adapter leaves out already stays left out.
func TestBesideVision(t *testing.T) {
	t.Parallel()
	for body, fits := range map[string]map[string]bool{
		`{}`:                                     {"model.language_model.layers.0.self_attn.q_proj": false, "model.vision_tower.encoder.layers.0.self_attn.q_proj": true},
		`{"exclude_modules": ["mlp.down_proj"]}`: {"layers.0.mlp.down_proj": true, "mlp.down_proj": true, "layers.0.mlpxdown_proj": false, "model.vision_tower.x": true},
		`{"exclude_modules": ".*k_proj|.*v_proj"}`: {"layers.0.k_proj": true, "layers.0.v_proj": true, "layers.0.q_proj": false, "vision_tower.x": true},
		`{"exclude_modules": ".*vision_tower.*"}`:  {"layers.0.k_proj": false, "vision_tower.x": true},
	} {
		var c peft.Config
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			t.Fatal(err)
		}
		c = besideVision(besideVision(c))
		c.Targets = peft.Targets{Pattern: ".*"}
		modules, err := c.Modules(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, module := range slices.Sorted(maps.Keys(fits)) {
			if modules.On(module) == fits[module] {
				t.Errorf("%s: %q: %s is left out: %t", body, c.Exclude.Pattern, module, !fits[module])
			}
		}
	}
}
