package checkpoint_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/llm/safetensors"
	"github.com/tunebus/tunebus/llm/token"
)

// folder copies the quickstart's base model.
func folder(t *testing.T) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(filepath.Dir(file), "..", "..", "configs", "quickstart", "base-model"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rewrite writes the weights of a folder anew, with more tensors, each as large
// as the one that it is like; change gets their values.
func rewrite(t *testing.T, dir string, like map[string]string, change func([]float32)) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	all := f.Tensors()
	sources := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(like)) {
		from := like[name]
		one, ok := f.Find(from)
		if !ok {
			t.Fatalf("there is no %s", from)
		}
		one.Name = name
		sources[name] = from
		all = append(all, one)
	}
	w, err := safetensors.Create(path+".new", all)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		from, added := sources[one.Name]
		if !added {
			from = one.Name
		}
		source, _ := f.Find(from)
		values, err := f.Values(source)
		if err != nil {
			t.Fatal(err)
		}
		all := make([]float32, source.Size())
		if err := values.Read(all); err != nil {
			t.Fatal(err)
		}
		if added {
			change(all)
		}
		if err := w.Write(all); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close(), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}

// edit changes a file of JSON.
func edit(t *testing.T, path string, change func(map[string]any)) {
	t.Helper()
	body, err := os.ReadFile(path)
	var all map[string]any
	if err == nil {
		err = json.Unmarshal(body, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	change(all)
	body, _ = json.Marshal(all) // of what was read: never fails
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

const embed = "model.embed_tokens.weight"

// TestCheckNotes: what is unusual and can be used is said, and read as
// transformers 5 reads it.
func TestCheckNotes(t *testing.T) {
	t.Parallel()
	same := func([]float32) {}
	for name, c := range map[string]struct {
		change func(dir string)
		note   string // empty: none
		untied bool
	}{
		"as it is": {func(string) {}, "", false},
		"a tied head, stored twice": {func(dir string) {
			rewrite(t, dir, map[string]string{"lm_head.weight": embed}, same)
		}, "", false},
		"a tied model with another head": {func(dir string) {
			rewrite(t, dir, map[string]string{"lm_head.weight": embed}, func(v []float32) { v[len(v)-1] += 1 })
		}, "lm_head.weight differs from the embedding", true},
		"rotary tables": {func(dir string) {
			rewrite(t, dir, map[string]string{
				"model.layers.0.self_attn.rotary_emb.inv_freq": "model.norm.weight", "model.layers.1.self_attn.masked_bias": "model.norm.weight",
			}, same)
		}, "left out: inv_freq, masked_bias", false},
		"a template of another family": {func(dir string) {
			edit(t, filepath.Join(dir, "tokenizer_config.json"), func(c map[string]any) {
				c["chat_template"] = "{% for m in messages %}<|start_header_id|>{{ m.role }}{{ m.content }}{% endfor %}"
			})
		}, "writes <|start_header_id|>, for which the tokenizer has no token", false},
	} {
		dir := folder(t)
		c.change(dir)
		got, err := checkpoint.Check(dir, dir)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if notes := strings.Join(got.Notes, "\n"); (notes == "") != (c.note == "") || !strings.Contains(notes, c.note) || got.Untied != c.untied {
			t.Errorf("%s: %+v", name, got)
		}
		m, err := llm.Open(dir)
		if err != nil || m.Config().TieWordEmbeddings == c.untied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnotherHead: a tied model with another head answers with that head.
func TestAnotherHead(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	// A head whose rows are all those of one token chooses the first id always.
	rewrite(t, dir, map[string]string{"lm_head.weight": embed}, func(v []float32) { clear(v) })
	m, err := llm.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Generate(t.Context(), [][]int32{tok.Encode("Who are you?")}, llm.GenerateConfig{MaxNewTokens: 3}, func(_ int, ids []int32) error {
		if len(ids) != 3 || ids[0] != 0 || ids[2] != 0 {
			t.Errorf("the head says %v", ids)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := m.Save(out, "float32"); err != nil {
		t.Fatal(err)
	}
	if again, err := llm.Open(out); err != nil || again.Config().TieWordEmbeddings || again.Parameters() != m.Parameters() {
		t.Errorf("written and read again: %v", err)
	}
}

// TestClaimedQuantisation: a quantization_config over weights that are no nf4 is a note, since
// the engine goes by the weights.
func TestClaimedQuantisation(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) {
		c["quantization_config"] = map[string]any{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"}
	})
	report, err := checkpoint.Check(dir, dir)
	if err != nil || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "no weight is stored in nf4: the built-in engine reads the weights as they are stored") {
		t.Errorf("%q, %v", report.Notes, err)
	}
}

// TestCheckFaults: what cannot be used is named with what is there instead.
func TestCheckFaults(t *testing.T) {
	t.Parallel()
	quantised := func(q any) func(dir string) {
		return func(dir string) {
			edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["quantization_config"] = q })
		}
	}
	for says, change := range map[string]func(dir string){
		"tokens and the embedding 700 rows, so that": func(dir string) {
			edit(t, filepath.Join(dir, "tokenizer.json"), func(c map[string]any) {
				c["added_tokens"] = append(c["added_tokens"].([]any), map[string]any{"id": 70_000, "content": "<|late|>", "special": true})
			})
		},
		`"<|late|>" (70000) has none`: func(dir string) {
			edit(t, filepath.Join(dir, "tokenizer.json"), func(c map[string]any) {
				c["added_tokens"] = append(c["added_tokens"].([]any), map[string]any{"id": 70_000, "content": "<|late|>", "special": true})
			})
		},
		`"<|late|>" (`: func(dir string) {
			edit(t, filepath.Join(dir, "tokenizer_config.json"), func(c map[string]any) { c["additional_special_tokens"] = []string{"<|late|>"} })
		},
		"eos_token_id is 60000": func(dir string) {
			edit(t, filepath.Join(dir, "generation_config.json"), func(c map[string]any) { c["eos_token_id"] = 60_000 })
		},
		"tensor model.layers.0.self_attn.q_proj.bias: is unknown to this layout": func(dir string) {
			rewrite(t, dir, map[string]string{"model.layers.0.self_attn.q_proj.bias": "model.norm.weight"}, func([]float32) {})
		},
		"quantised to 4 bits (bitsandbytes)":  quantised(map[string]any{"quant_method": "bitsandbytes", "load_in_4bit": true}),
		"quantised to 8 bits (bitsandbytes)":  quantised(map[string]any{"quant_method": "bitsandbytes", "load_in_8bit": true}),
		"(GPTQ), and the built-in engine":     quantised(map[string]any{"quant_method": "gptq", "bits": 4}),
		"(AWQ), and the built-in engine":      quantised(map[string]any{"quant_method": "awq", "bits": 4}),
		"quantised to 8 bits (fp8)":           quantised(map[string]any{"quant_method": "fp8"}),
		"quantised (mxfp4)":                   quantised(map[string]any{"quant_method": "mxfp4"}),
		"quantization_config says nothing":    quantised("yes"),
		"want a table such as":                quantised(map[string]any{"quant_method": "bitsandbytes", "load_in_4bit": "yes"}),
		"in pickle files (pytorch_model.bin)": func(dir string) { move(t, dir, "pytorch_model.bin") },
		"in a GGUF file (model-q4.gguf)":      func(dir string) { move(t, dir, "model-q4.gguf") },
		"in a GGUF file (model.Q4_K_M.gguf)": func(dir string) {
			move(t, dir, "model.Q4_K_M.gguf")
			if err := os.Remove(filepath.Join(dir, "config.json")); err != nil {
				t.Fatal(err)
			}
		},
		"no such file or directory": func(dir string) { move(t, dir, "weights.dat") },
	} {
		dir := folder(t)
		change(dir)
		_, err := checkpoint.Check(dir, dir)
		if strings.Contains(says, "700 rows") {
			says = strings.Replace(says, "700", rows(t, dir), 1)
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

func rows(t *testing.T, dir string) (n string) {
	t.Helper()
	edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) {
		body, _ := json.Marshal(c["vocab_size"]) // of a number: never fails
		n = string(body)
	})
	return n
}

func move(t *testing.T, dir, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, to)); err != nil {
		t.Fatal(err)
	}
}

// TestCheckFindsAllFaults: the faults of the weights and of the tokenizer come at
// once, and of many tensors only the first are named.
func TestCheckFindsAllFaults(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	more := map[string]string{}
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		more["extra."+name] = "model.norm.weight"
	}
	rewrite(t, dir, more, func([]float32) {})
	edit(t, filepath.Join(dir, "tokenizer.json"), func(c map[string]any) {
		c["added_tokens"] = append(c["added_tokens"].([]any), map[string]any{"id": 70_000, "content": "<|late|>", "special": true})
	})
	_, err := checkpoint.Check(dir, dir)
	for _, says := range []string{"extra.a: is unknown", "extra.e: is unknown", "2 tensors more cannot be used", "<|late|>"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	if err != nil && strings.Contains(err.Error(), "extra.f") {
		t.Errorf("more than five tensors are named: %v", err)
	}
}

// TestCheckHostileFiles: headers and configurations that claim more than a file holds
// are refused before anything of that size is made.
func TestCheckHostileFiles(t *testing.T) {
	t.Parallel()
	header := func(body string) func(dir string) {
		return func(dir string) {
			b := binary.LittleEndian.AppendUint64(nil, uint64(len(body)))
			if err := os.WriteFile(filepath.Join(dir, "model.safetensors"), append(append(b, body...), make([]byte, 64)...), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for says, change := range map[string]func(dir string){
		"the tensors a and b overlap": header(`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}`),
		"header of a: data_offsets":   header(`{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}`),
		"the file is truncated":       header(`{"model.norm.weight":{"dtype":"F32","shape":[192],"data_offsets":[0,768]}}`),
		"a pointer of Git LFS":        func(dir string) { write(t, dir, "model.safetensors", "version https://git-lfs.github.com/spec/v1\n") },
		"is_causal = false": func(dir string) {
			edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["is_causal"] = false })
		},
		"is no safetensors file": func(dir string) { write(t, dir, "model.safetensors", strings.Repeat("\xff", 16)) },
		"num_hidden_layers is 16000000": func(dir string) {
			edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["num_hidden_layers"] = 16_000_000 })
		},
		"id 2000000000": func(dir string) {
			edit(t, filepath.Join(dir, "tokenizer.json"), func(c map[string]any) {
				c["added_tokens"] = append(c["added_tokens"].([]any), map[string]any{"id": 2_000_000_000, "content": "<|far|>"})
			})
		},
		"32 bytes before the tensor b belong to no tensor": header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[7],"data_offsets":[36,64]}}`),
		"60 bytes behind the last tensor":                  header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`),
		"hidden_size is of the type string; want a whole number": func(dir string) {
			edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["hidden_size"] = "192" })
		},
		"lies outside of the folder": func(dir string) {
			move(t, dir, "other")
			write(t, dir, llm.IndexFile, `{"weight_map":{"model.norm.weight":"../../etc/passwd"}}`)
		},
	} {
		dir := folder(t)
		change(dir)
		_, err := checkpoint.Check(dir, dir)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

// TestCheckOfTwoKinds: of a whole file and shards transformers reads the whole file.
func TestCheckOfTwoKinds(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	write(t, dir, llm.IndexFile, `{"weight_map":{"model.norm.weight":"gone.safetensors"}}`)
	report, err := checkpoint.Check(dir, dir)
	if err != nil || !slices.ContainsFunc(report.Notes, func(n string) bool { return strings.Contains(n, "the former is read") }) {
		t.Errorf("%v, notes %q", err, report.Notes)
	}
}

func write(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCheckSeeing: of a model that sees the text part is taken, which a note says.
func TestCheckSeeing(t *testing.T) {
	t.Parallel()
	tokens, dir := folder(t), t.TempDir()
	report, err := checkpoint.Check(tokens, tokens)
	if err != nil {
		t.Fatal(err)
	}
	m, err := llm.New(llm.Config{ModelType: "gemma3_text", VocabSize: report.Config.VocabSize, HiddenSize: 16, IntermediateSize: 24, Layers: 1, Heads: 2, KVHeads: 1, HeadDim: 8, TieWordEmbeddings: true}, 1)
	if err == nil {
		err = m.Save(dir, "float32")
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(`{"model_type": "gemma3", "text_config": `+string(text)+"}"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, dir, map[string]string{"vision_tower.embeddings.weight": "model.norm.weight"}, func([]float32) {})
	report, err = checkpoint.Check(dir, tokens)
	const want = "config.json describes a model that sees: the built-in engine takes its text part, and leaves its vision part out (tensors: 1)"
	if err != nil || !slices.Contains(report.Notes, want) {
		t.Errorf("notes %q, %v", report.Notes, err)
	}
}
