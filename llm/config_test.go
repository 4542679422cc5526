package llm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plain are the sizes that every configuration of these tests has.
const plain = `"vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8`

func readPlain(t *testing.T, family, more string) (Config, error) {
	t.Helper()
	dir := t.TempDir()
	body := `{"model_type": "` + family + `", ` + plain
	if more != "" {
		body += ", " + more
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(body+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return readConfig(dir)
}

// TestKeysOfOtherFamilies: a key that a family's class in transformers computes without
// changes nothing of the network.
func TestKeysOfOtherFamilies(t *testing.T) {
	t.Parallel()
	readers := map[string][]string{
		`"partial_rotary_factor": 0.5`:                           {"phi3"},
		`"rope_parameters": {"partial_rotary_factor": 0.5}`:      {"phi3"},
		`"query_pre_attn_scalar": 3`:                             {"gemma2", "gemma3_text"},
		`"attn_logit_softcapping": 2.5`:                          {"gemma2"},
		`"final_logit_softcapping": 2.5`:                         {"gemma2", "gemma3_text"},
		`"rope_local_base_freq": 77`:                             {"gemma3_text"},
		`"logits_scaling": 3, "embedding_multiplier": 5`:         {"granite"},
		`"attention_multiplier": 3, "residual_multiplier": 0.25`: {"granite"},
		`"no_rope_layers": [0, 0]`:                               {"smollm3"},
	}
	of := func(family, more string) string {
		c, err := readPlain(t, family, more)
		if err != nil {
			t.Fatalf("%s, %s: %v", family, more, err)
		}
		var layers []string
		for l := range c.Layers {
			layers = append(layers, strings.Repeat("turns ", map[bool]int{true: 1}[c.turns(l)]))
		}
		return fmt.Sprint(c.shape()) + strings.Join(layers, ",")
	}
	for key, reads := range readers {
		for family := range families() {
			want := false
			for _, r := range reads {
				want = want || r == family
			}
			if got := of(family, key) != of(family, ""); got != want {
				t.Errorf("%s changes a %s: %v, want %v", key, family, got, want)
			}
		}
	}
}

// TestNumbersOfConfig: a 0 is no missing value, and what nothing can be computed with is
// refused by its key.
func TestNumbersOfConfig(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]float64{"": 1e-6, `"rms_norm_eps": 0`: 0, `"rms_norm_eps": null`: 1e-6, `"rms_norm_eps": 0.5`: 0.5} {
		if c, err := readPlain(t, "llama", more); err != nil || c.RMSNormEps != want {
			t.Errorf("%q: %v, %v, want %v", more, c.RMSNormEps, err, want)
		}
	}
	for _, c := range []struct{ family, more, want string }{
		{"llama", `"rope_theta": 0`, "rope_theta is 0"},
		{"llama", `"rope_theta": -1`, "rope_theta is -1"},
		{"llama", `"rope_parameters": {"rope_theta": 0}`, "rope_theta is 0"},
		{"llama", `"rms_norm_eps": -1`, "rms_norm_eps is -1"},
		{"llama", `"max_position_embeddings": -1`, "max_position_embeddings is -1"},
		{"granite", `"logits_scaling": 0`, "logits_scaling is 0"},
		{"granite", `"residual_multiplier": 0`, "residual_multiplier is 0"},
		{"gemma2", `"query_pre_attn_scalar": 0`, "query_pre_attn_scalar is 0"},
		{"gemma2", `"final_logit_softcapping": 0`, "final_logit_softcapping is 0"},
		{"gemma3_text", `"rope_local_base_freq": 0`, "rope_local_base_freq is 0"},
		{"llama", `"num_key_value_heads": 0`, "config.json: num_key_value_heads is 0; want 1 or more"},
		{"llama", `"head_dim": 0`, "head_dim is 0; want 1 or more"},
		{"gemma2", `"head_dim": 0`, "head_dim is 0; want 1 or more"},
		{"llama", `"hidden_size": 0, "vocab_size": 0`, "vocab_size is 0; want 1 or more\nhidden_size is 0; want 1 or more"},
		{"qwen3", `"architectures": ["Qwen3ForSequenceClassification"]`, `architecture "Qwen3ForSequenceClassification" (architectures) is unknown to the built-in engine`},
		{"qwen3", `"architectures": ["Qwen3ForTokenClassification"]`, "models that write texts, such as …ForCausalLM"},
	} {
		if _, err := readPlain(t, c.family, c.more); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v, want %q", c.family, c.more, err, c.want)
		}
	}
	for _, more := range []string{`"num_key_value_heads": null, "head_dim": null`, `"architectures": ["LlamaForCausalLM"]`, `"architectures": ["MyLlama"]`, `"architectures": null`} {
		if c, err := readPlain(t, "llama", more); err != nil || c.KVHeads < 1 || c.HeadDim != 8 {
			t.Errorf("%s: %v, %+v", more, err, c)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("[1]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(dir); err == nil || !strings.HasSuffix(err.Error(), "config.json: it is of the type array; want an object") {
		t.Errorf("an array: %v", err)
	}
}

// TestByteOrderMark: a mark at the beginning of config.json is named.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("\ufeff{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readConfig(dir); err == nil || !strings.Contains(err.Error(), "byte order mark") {
		t.Errorf("%v", err)
	}
}
