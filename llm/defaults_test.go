package llm

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/net"
)

// defaults is what testdata/defaults.py writes.
type defaults struct {
	Keys  map[string][]string // of each family, which transformers writes
	Cases []struct {
		Config json.RawMessage
		Takes  *taken // nil: transformers takes no such file
	}
}

// taken is what a model computes with. Of layers it has each value with how many times it
// follows on itself.
type taken struct {
	KVHeads     int     `json:"kv_heads"`
	HeadDim     int     `json:"head_dim"`
	Eps         float64 `json:"eps"`
	Tied, Bias  bool
	Act         string
	Windows     [][2]int // 0: a layer that sees all
	Turns       [][2]int // 0: a layer without positions
	Rope        takenRope
	Query       float64
	ScoreCap    *float64 `json:"score_cap"`
	LogitCap    *float64 `json:"logit_cap"`
	Multipliers [4]float64
}

type takenRope struct {
	Theta, Local, Original float64
	Type                   string
}

// taken is what a configuration makes the engine compute with.
func (c Config) taken() taken {
	f, runs := c.family(), func(of func(layer int) int) (out [][2]int) {
		for l := range c.Layers {
			if v := of(l); len(out) > 0 && out[len(out)-1][0] == v {
				out[len(out)-1][1]++
			} else {
				out = append(out, [2]int{v, 1})
			}
		}
		return out
	}
	rope := takenRope{Theta: c.RopeTheta, Local: c.RopeLocalTheta, Type: ropePlain}
	if s := c.RopeScaling; s != nil {
		rope.Type = s.Type
		if s.Type == ropeLong {
			rope.Original = s.OriginalMaxPositions
		}
	}
	return taken{
		KVHeads: c.KVHeads, HeadDim: c.HeadDim, Eps: c.RMSNormEps, Tied: c.TieWordEmbeddings, Bias: f.alwaysBias || f.biasIn && c.AttentionBias, Act: c.HiddenAct,
		Windows: runs(func(l int) int {
			if f.window(c, l) {
				return *c.SlidingWindow
			}
			return 0
		}),
		Turns: runs(func(l int) int { return map[bool]int{true: 1}[c.turns(l)] }),
		Rope:  rope, Query: c.QueryScalar, ScoreCap: c.ScoreCap, LogitCap: c.LogitCap,
		Multipliers: [4]float64{c.EmbeddingMultiplier, c.AttentionMultiplier, c.ResidualMultiplier, c.LogitsScaling},
	}
}

func readDefaults(t *testing.T) (out defaults) {
	t.Helper()
	body, err := os.ReadFile("testdata/defaults.json")
	if err == nil {
		err = json.Unmarshal(body, &out)
	}
	if err != nil || len(out.Keys) != len(families()) || len(out.Cases) < 600 {
		t.Fatalf("%d families, %d cases, %v", len(out.Keys), len(out.Cases), err)
	}
	return out
}

// TestDefaults: of a config.json in which keys are absent, null, or those of another
// family, the engine takes what transformers takes.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range readDefaults(t).Cases {
		if c.Takes == nil {
			continue
		}
		got, err := parseConfig("config.json", c.Config)
		if err != nil {
			if !strings.Contains(err.Error(), "longrope wants original_max_position_embeddings") { // a refusal, in place of a default
				t.Errorf("%s: %v", c.Config, err)
			}
			continue
		}
		if have := got.taken(); !reflect.DeepEqual(have, *c.Takes) {
			t.Errorf("%s:\n%+v, transformers takes\n%+v", c.Config, have, *c.Takes)
		}
	}
}

// TestSavedAsRead: a model that is saved is the one that was read, or made, whatever its
// config.json leaves out, has as null, or as 0.
func TestSavedAsRead(t *testing.T) {
	t.Parallel()
	all := readDefaults(t)
	for _, c := range all.Cases {
		want, err := parseConfig("config.json", c.Config)
		if err != nil {
			continue
		}
		for _, m := range []*Model{{cfg: want, file: c.Config}, {cfg: want}} {
			body, err := m.describe("float32")
			if err != nil {
				t.Fatalf("%s: %v", c.Config, err)
			}
			got, err := parseConfig("config.json", body)
			if err != nil || !reflect.DeepEqual(got.taken(), want.taken()) {
				t.Errorf("%s, from a file: %v: %v, %+v, want %+v; written:\n%s", c.Config, m.file != nil, err, got.taken(), want.taken(), body)
			}
			var written map[string]json.RawMessage
			if err := json.Unmarshal(body, &written); err != nil {
				t.Fatal(err)
			}
			if m.file == nil {
				checkKeys(t, want, written, all.Keys[want.ModelType])
			} else {
				checkStays(t, c.Config, written)
			}
		}
	}
}

// checkKeys finds a key that transformers writes and a saved model has not, so that a
// reader takes a default.
func checkKeys(t *testing.T, c Config, written map[string]json.RawMessage, keys []string) {
	t.Helper()
	same := []string{ // which have other places, or of which the engine has what transformers takes without them
		"rope_parameters", "mlp_bias", "use_bidirectional_attention", "no_rope_layer_interval", original,
	}
	for _, key := range keys {
		if _, is := written[key]; !is && !slices.Contains(same, key) && (key != scoreCap || c.family().has(key)) {
			t.Errorf("a %s that is saved has no %s", c.ModelType, key)
		}
	}
	for _, key := range c.family().foreign() {
		if _, is := written[key]; is && !slices.Contains(keys, key) {
			t.Errorf("a %s that is saved has %s", c.ModelType, key)
		}
	}
}

// checkStays finds a key of the checkpoint that a saved model has not as it was.
func checkStays(t *testing.T, file json.RawMessage, written map[string]json.RawMessage) {
	t.Helper()
	var before map[string]any
	if err := json.Unmarshal(file, &before); err != nil {
		t.Fatal(err)
	}
	for key, want := range before {
		var got any
		if raw, is := written[key]; !is || json.Unmarshal(raw, &got) != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s is %s, want %v", file, key, written[key], want)
		}
	}
}

// TestSavedFile: a model that is saved has the config.json of its checkpoint, but for what
// is no longer so.
func TestSavedFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"null, 0 and what the engine does not know stay": {
			`"sliding_window": null, "max_window_layers": 0, "use_cache": false, "rope_theta": 1000000, "id2label": {"0": "a"}, "dtype": "float16"`,
			`{"architectures":["Qwen2ForCausalLM"],"dtype":"bfloat16","id2label":{"0":"a"},"max_window_layers":0,"rope_theta":1000000.0,"sliding_window":null,"use_cache":false}`,
		},
		"the type has one name": {`"dtype": "float16", "torch_dtype": "float16"`, `{"architectures":["Qwen2ForCausalLM"],"dtype":"bfloat16"}`},
		"what was so of the weights, and code that is not there, go": {
			`"architectures": ["Mine"], "torch_dtype": "float16", "quantization_config": {"load_in_4bit": true}, "auto_map": {"AutoConfig": "configuration_mine.MyConfig"}`,
			`{"architectures":["Mine"],"torch_dtype":"bfloat16"}`,
		},
		"a head that is not the embedding": {`"tie_word_embeddings": true`, `{"architectures":["Qwen2ForCausalLM"],"tie_word_embeddings":false,"torch_dtype":"bfloat16"}`},
	} {
		file := []byte(`{"model_type": "qwen2", ` + plain + ", " + c.before + "}")
		cfg, err := parseConfig("config.json", file)
		if err != nil {
			t.Fatal(err)
		}
		cfg.TieWordEmbeddings = false
		body, err := (&Model{cfg: cfg, file: file}).describe("bfloat16")
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		var common map[string]any
		if err := json.Unmarshal([]byte(`{"model_type": "", `+plain+"}"), &common); err != nil {
			t.Fatal(err)
		}
		for key := range common {
			delete(got, key)
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(c.after), &want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestSavedLogits: what is saved computes the same numbers, where null and 0 count.
func TestSavedLogits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ family, more, without string }{
		{"gemma2", `"attn_logit_softcapping": null, "final_logit_softcapping": null`, `"attn_logit_softcapping": 0.1, "final_logit_softcapping": 0.1`},
		{"mistral", `"sliding_window": null`, `"sliding_window": 2`},
		{"qwen2", `"use_sliding_window": true, "sliding_window": 2, "max_window_layers": 0`, `"use_sliding_window": true, "sliding_window": 2`},
		{"qwen3", `"use_sliding_window": true, "sliding_window": null, "max_window_layers": 0`, `"use_sliding_window": true, "sliding_window": 2, "max_window_layers": 0`},
		{"gemma3_text", `"final_logit_softcapping": null, "sliding_window": 2`, `"final_logit_softcapping": 0.1, "sliding_window": 2`},
		{"phi3", `"sliding_window": null`, `"sliding_window": 2`},
		{"smollm3", `"no_rope_layer_interval": 1`, `"no_rope_layer_interval": 5`},
		{"olmo2", `"rms_norm_eps": 0`, `"rms_norm_eps": 1`},
		{"llama", `"rms_norm_eps": 0`, `"rms_norm_eps": 1`},
		{"granite", `"rms_norm_eps": 0`, `"rms_norm_eps": 1`},
	} {
		cfg, err := readPlain(t, c.family, c.more+`, "initializer_range": 0.5`)
		if err != nil {
			t.Fatalf("%s: %v", c.family, err)
		}
		made, err := New(cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		want := logitsOf(t, made)
		dir, again := t.TempDir(), t.TempDir()
		if err := made.Save(dir, "float32"); err != nil {
			t.Fatal(err)
		}
		read, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Save(again, "float32"); err != nil {
			t.Fatal(err)
		}
		twice, err := Open(again)
		if err != nil {
			t.Fatal(err)
		}
		if got, got2 := logitsOf(t, read), logitsOf(t, twice); !slices.Equal(got, want) || !slices.Equal(got2, want) {
			t.Errorf("%s with %s computes other numbers after it was saved", c.family, c.more)
		}
		other, err := readPlain(t, c.family, c.without)
		if err != nil {
			t.Fatal(err)
		}
		read.cfg, read.decodes = other, nil
		if slices.Equal(logitsOf(t, read), want) {
			t.Errorf("%s: %s makes no difference in this test", c.family, c.without)
		}
	}
}

func logitsOf(t *testing.T, m *Model) []float32 {
	t.Helper()
	d := m.decoder()
	cache := d.NewCache(1)
	cache.Place(0, 0)
	var tokens []net.Token
	for i := range 7 {
		tokens = append(tokens, net.Token{ID: int32(3 + 2*i), Position: i, Last: i == 6})
	}
	if err := d.Read(cache, tokens, nil); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(d.Logits(0))
}
