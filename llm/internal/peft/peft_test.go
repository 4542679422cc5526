package peft

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func write(t testing.TB, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adapter_config.json")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// every are the modules of a model of two layers.
func every() []string {
	var out []string
	for _, layer := range []string{"0", "1"} {
		for _, name := range []string{"self_attn.q_proj", "self_attn.k_proj", "mlp.down_proj"} {
			out = append(out, "model.layers."+layer+"."+name)
		}
	}
	return append(out, "model.norm", "lm_head")
}

func isLinear(module string) bool { return strings.HasSuffix(module, "_proj") }

// TestModules holds which modules PEFT's options mean, without the part of their paths
// that they have in common.
func TestModules(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`: "0.self_attn.q_proj 0.self_attn.k_proj 0.mlp.down_proj 1.self_attn.q_proj 1.self_attn.k_proj 1.mlp.down_proj",
		`{"target_modules": "All-Linear", "exclude_modules": ["mlp.down_proj"]}`:                                "0.self_attn.q_proj 0.self_attn.k_proj 1.self_attn.q_proj 1.self_attn.k_proj",
		`{"target_modules": ["q_proj"], "layers_to_transform": 1}`:                                              "1.self_attn.q_proj",
		`{"target_modules": ["q_proj"], "layers_to_transform": [0, 5], "layers_pattern": ["blocks", "layers"]}`: "0.self_attn.q_proj",
		`{"target_modules": ["q_proj"], "layers_to_transform": [0], "layers_pattern": "blocks"}`:                "",
		`{"target_modules": ["model.layers.0.mlp.down_proj"], "layers_to_transform": [1]}`:                      "0.mlp.down_proj",
		`{"target_modules": ".*1.*(k|down)_proj", "exclude_modules": ".*mlp.*"}`:                                "1.self_attn.k_proj",
		`{"target_modules": "all-linear", "modules_to_save": ["self_attn"]}`:                                    "0.mlp.down_proj 1.mlp.down_proj",
		`{"target_modules": ["proj"]}`: "",
	} {
		c, err := Read(write(t, body))
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.Modules(isLinear)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, module := range every() {
			if m.On(module) {
				got = append(got, strings.TrimPrefix(module, "model.layers."))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// TestRanksAndScales: the first entry that fits counts.
func TestRanksAndScales(t *testing.T) {
	t.Parallel()
	c, err := Read(write(t, `{"r": 4, "lora_alpha": 8, "rank_pattern": {"q_proj": 2, "layers.1.self_attn.q_proj": 3, "layers\\.1\\..*": 9}, "alpha_pattern": {"proj": 1, "down_proj": 18}}`))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Modules(isLinear)
	if err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string][2]float64{
		"model.layers.0.self_attn.q_proj": {2, 4}, "model.layers.1.self_attn.q_proj": {2, 4}, "model.layers.1.mlp.down_proj": {9, 2}, "model.layers.0.mlp.down_proj": {4, 4.5},
	} {
		if got := [2]float64{float64(m.Rank(module)), m.Scale(module)}; got != want {
			t.Errorf("%s: %v, want %v", module, got, want)
		}
	}
}

// TestSaves: a module learns as a whole where its name, or that of what it is part of,
// ends so.
func TestSaves(t *testing.T) {
	t.Parallel()
	m, err := Config{Save: []string{"head", "layers.1.mlp"}}.Modules(isLinear)
	if err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]bool{"lm_head": true, "model.layers.1.mlp.down_proj": true, "model.layers.0.mlp.down_proj": false, "model.norm": false} {
		if m.Saves(module) != want {
			t.Errorf("%s: %t", module, !want)
		}
	}
}

// TestRefused names what the engine would compute otherwise.
func TestRefused(t *testing.T) {
	t.Parallel()
	for option, body := range map[string]string{
		"bias": `{"bias": "some"}`, "use_qalora": `{"use_qalora": true}`, "target_parameters": `{"target_parameters": ["w"]}`, "layer_replication": `{"layer_replication": [[0, 2]]}`,
		"init_lora_weights": `{"init_lora_weights": "pissa_niter_4"}`,
	} {
		_, err := Read(write(t, body))
		if of, ok := errors.AsType[*UnsupportedError](err); !ok || of.Option != option {
			t.Errorf("%s: %v", body, err)
		}
	}
	for option, c := range map[string]Config{
		"target_modules": {Targets: Targets{Pattern: "(?!x)"}}, "exclude_modules": {Exclude: Targets{Pattern: "("}}, "rank_pattern": {Ranks: Pattern{{"(", 1}}},
		"alpha_pattern": {Alphas: Pattern{{"[", 1}}}, "layers_pattern": {LayerLists: Texts{"("}}, "modules_to_save": {Save: []string{"("}},
	} {
		if _, err := c.Modules(isLinear); err == nil || !strings.HasPrefix(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
}

// TestUnsupportedValues: the value of an option is said as the file has it.
func TestUnsupportedValues(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"layer_replication": [[0, 3], [1, 3]]}`:               "layer_replication = [[0,3],[1,3]] is not supported by the built-in engine",
		`{"arrow_config": {"top_k": 1, "router": {"a": null}}}`: `arrow_config = {"router":{"a":null},"top_k":1} is not supported by the built-in engine`,
		`{"use_bdlora": {"nblocks": 2}}`:                        `use_bdlora = {"nblocks":2} is not supported by the built-in engine`,
		`{"fan_in_fan_out": true}`:                              "fan_in_fan_out = true is not supported by the built-in engine",
		`{"bias": "some"}`:                                      `bias = "some" is not supported by the built-in engine`,
	} {
		if _, err := Read(write(t, body)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// TestStarts: an adapter that began beside the base model as it is can be used, one that
// took a part of it cannot.
func TestStarts(t *testing.T) {
	t.Parallel()
	for start, plain := range map[string]bool{
		`true`: true, `false`: true, `null`: true, `"gaussian"`: true, `"orthogonal"`: true, `"eva"`: true,
		`"pissa"`: false, `"olora"`: false, `"corda"`: false, `"loftq"`: false, `"of tomorrow"`: false, `5`: false,
	} {
		if _, err := Read(write(t, `{"init_lora_weights": `+start+`}`)); (err == nil) != plain {
			t.Errorf("%s: %v", start, err)
		}
	}
}

// FuzzRead: what was read is written so that it is read the same, and no file panics.
func FuzzRead(f *testing.F) {
	f.Add(`{"r": 4, "target_modules": ["q_proj"], "rank_pattern": {"b": 1, "a": 2}, "layers_to_transform": 3, "bias": "all"}`)
	f.Add(`{"target_modules": ".*", "exclude_modules": "x", "layers_pattern": ["h"], "modules_to_save": ["lm_head"], "use_dora": true}`)
	f.Add(`{"rank_pattern": null, "layers_to_transform": null}`)
	f.Fuzz(func(t *testing.T, body string) {
		c, err := Read(write(t, body))
		if err != nil {
			return
		}
		if m, err := c.Modules(isLinear); err == nil {
			for _, module := range every() {
				_, _, _ = m.On(module), m.Saves(module), m.Scale(module)
			}
		}
		path := filepath.Join(t.TempDir(), "again.json")
		if err := c.Write(path); err != nil {
			t.Fatal(err)
		}
		again, err := Read(path)
		slices.SortFunc(c.Ranks, func(a, b Entry) int { return strings.Compare(a.Expression, b.Expression) })
		slices.SortFunc(c.Alphas, func(a, b Entry) int { return strings.Compare(a.Expression, b.Expression) })
		if err != nil || !reflect.DeepEqual(again.Ranks, c.Ranks) || again.Bias != c.Bias || again.DoRA != c.DoRA || !slices.Equal(again.Layers, c.Layers) {
			t.Errorf("%+v, then %+v (%v)", c, again, err)
		}
	})
}
