package inputs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/hostmemory/hostmemorytest"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// folder is a folder with data and models, and a specification that names them.
type folder struct {
	dir           string
	host          hostmemory.Host
	specification events.Specification
	files         map[string]string
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	f := &folder{dir: t.TempDir(), host: hostmemory.Machine(), specification: spec.Defaults(), files: map[string]string{}}
	f.name("fine_tuner.base_model_id", filepath.Join(clitest.Root(), "configs", "quickstart", "base-model"))
	f.name("fine_tuner.training_data_id", f.write(t, "train.jsonl", `{"question":"Where is the mast?","answer":"At pier 4."}`))
	f.name("inferencer.testing_data_id", f.write(t, "test.jsonl", `{"question":"Where is the mast?","answer":"At pier 4."}`))
	return f
}

// write writes a file and returns its path.
func (f *folder) write(t *testing.T, name, body string) string {
	t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// name has a key name a path.
func (f *folder) name(key, path string) {
	f.files[key] = path
	s := &f.specification
	if at := map[string]*string{
		"fine_tuner.base_model_id":      &s.FineTuner.BaseModelID,
		"fine_tuner.training_data_id":   &s.FineTuner.TrainingDataID,
		"fine_tuner.validation_data_id": &s.FineTuner.ValidationDataID,
		"inferencer.model_id":           &s.Inferencer.ModelID,
		"inferencer.testing_data_id":    &s.Inferencer.TestingDataID,
	}[key]; at != nil {
		*at = path
	}
}

func (f *folder) check(t *testing.T) inputs.Found {
	t.Helper()
	return inputs.Check(t.Context(), f.host, f.specification, f.files)
}

// TestCheckFindsEveryFault: what is wrong with data and models comes at once, with
// the key, the file and the line, and without a path of ours.
func TestCheckFindsEveryFault(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	if got := f.check(t); len(got.Faults) > 0 || len(got.Warnings) > 0 {
		t.Fatalf("nothing is wrong: %+v", got)
	}
	f.name("fine_tuner.training_data_id", f.write(t, "other.jsonl", `{"prompt":"q","reply":"a"}`))
	f.name("fine_tuner.validation_data_id", f.write(t, "broken.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n{\"question\":"))
	f.name("inferencer.testing_data_id", f.write(t, "empty.jsonl", ""))
	f.name("inferencer.model_id", filepath.Dir(f.write(t, "mamba/config.json", `{"model_type":"mamba"}`)))
	got := f.check(t).Faults
	want := [][]string{
		{"fine_tuner.training_data_id", "other.jsonl", `"prompt"`, "fine_tuner.question_column"},
		{"fine_tuner.validation_data_id", "broken.jsonl", "line 2"},
		{"inferencer.model_id", "mamba"},
		{"inferencer.testing_data_id", "empty"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d faults, want %d:\n%v", len(got), len(want), got)
	}
	for i, w := range want {
		if got[i].Key != w[0] {
			t.Errorf("fault %d is of %s, want %s", i, got[i].Key, w[0])
		}
		for _, says := range w[1:] {
			if !strings.Contains(got[i].String(), says) {
				t.Errorf("no %q in %s", says, got[i])
			}
		}
	}
}

// TestCheckModels: a folder that is no model, one without weights, a file, and a
// tokenizer that the built-in engine does not read. Another engine reads others.
func TestCheckModels(t *testing.T) {
	t.Parallel()
	wordPiece := `{"model":{"type":"WordPiece","vocab":{}}}`
	for name, c := range map[string]struct {
		files map[string]string
		other bool // another engine does all the work
		want  string
	}{
		"no model":        {files: map[string]string{"m/readme": ""}, want: "no config.json"},
		"GGUF alone":      {files: map[string]string{"m/q4.gguf": "x"}, want: "has the GGUF file q4.gguf and no config.json; tunebus does not read GGUF: name the checkpoint that it was made from, a folder or an id of the Hub with config.json, tokenizer.json and weights in safetensors"},
		"GGUF, another":   {files: map[string]string{"m/q4.GGUF": "x"}, other: true, want: "has the GGUF file q4.GGUF and no config.json"},
		"GGUF beside":     {files: map[string]string{"m/q4.gguf": "x", "m/config.json": `{"model_type":"mamba"}`, "m/tokenizer.json": wordPiece}, other: true},
		"no weights":      {files: map[string]string{"m/config.json": `{"model_type":"llama","vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1}`}, want: "safetensors"},
		"tokenizer":       {files: map[string]string{"m/config.json": `{"model_type":"llama","vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1}`, "m/model.safetensors": "x", "m/tokenizer.json": wordPiece}, want: "WordPiece"},
		"other tokenizer": {files: map[string]string{"m/config.json": `{"model_type":"mamba"}`, "m/model.safetensors": "x", "m/tokenizer.json": wordPiece}, other: true},
		"other adapter":   {files: map[string]string{"m/adapter_config.json": "{}", "m/adapter_model.safetensors": "x"}, other: true},
		"adapter":         {files: map[string]string{"m/adapter_config.json": "{}", "m/adapter_model.safetensors": "x"}, want: `peft_type ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			for file, body := range c.files {
				f.write(t, file, body)
			}
			f.name("fine_tuner.base_model_id", filepath.Join(f.dir, "m"))
			if c.other {
				f.specification.FineTuner.Engine, f.specification.Inferencer.Engine = "trl", "openai"
			}
			got := f.check(t).Faults
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) == 0 || got[0].Key != "fine_tuner.base_model_id" || !strings.Contains(fmt.Sprint(got), c.want)) {
				t.Errorf("faults %v, want %q", got, c.want)
			}
		})
	}
}

// TestCheckRendersRows: a row that the chat template refuses is named before a run
// starts, of the test data too.
func TestCheckRendersRows(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	model := filepath.Join(f.dir, "m")
	if err := os.CopyFS(model, os.DirFS(f.files["fine_tuner.base_model_id"])); err != nil {
		t.Fatal(err)
	}
	template := `{% for m in messages %}{% if m['content'] == 'no' %}{{ raise_exception('it says no') }}{% endif %}{{ m['content'] }}{% endfor %}`
	body, err := json.Marshal(map[string]string{"chat_template": template})
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "m/tokenizer_config.json", string(body))
	f.name("fine_tuner.base_model_id", model)
	rows := `{"question":"yes","answer":"yes"}` + "\n" + `{"question":"no","answer":"yes"}`
	f.name("fine_tuner.training_data_id", f.write(t, "train.jsonl", rows))
	f.name("inferencer.testing_data_id", f.write(t, "test.jsonl", rows))
	got := f.check(t).Faults
	if len(got) != 2 {
		t.Fatalf("faults %v", got)
	}
	for _, fault := range got {
		if !strings.Contains(fault.Message, "it says no") || !strings.Contains(fault.Message, "2") {
			t.Errorf("%s", fault)
		}
	}
}

// TestCheckWarns: rows without an answer, if they are many, are a warning.
func TestCheckWarns(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.name("fine_tuner.training_data_id", f.write(t, "train.jsonl", `{"question":"q","answer":"a"}`+"\n"+`{"question":"q","answer":null}`))
	got := f.check(t)
	if len(got.Faults) > 0 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "fine_tuner.training_data_id: 1 of 2 rows have no answer") {
		t.Errorf("%+v", got)
	}
}

// copyModel copies the quickstart's base model into a folder of the test.
func (f *folder) copyModel(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(f.dir, name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(clitest.Root(), "configs", "quickstart", "base-model"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCheckWeights: what the built-in engine refuses in weights is known without a
// run, under the name that the person wrote, one fault for each.
func TestCheckWeights(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		want   []string
	}{
		"truncated": {func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Truncate(filepath.Join(dir, "model.safetensors"), 200_000); err != nil {
				t.Fatal(err)
			}
		}, []string{"the file is truncated"}},
		"a tokenizer of another model": {func(t *testing.T, dir string) {
			t.Helper()
			edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["eos_token_id"] = 60_000 })
			edit(t, filepath.Join(dir, "tokenizer.json"), func(c map[string]any) {
				c["added_tokens"] = append(c["added_tokens"].([]any), map[string]any{"id": 70_000, "content": "<|late|>", "special": true})
			})
		}, []string{"the tokenizer has 70001 tokens and the embedding"}},
		"quantised": {func(t *testing.T, dir string) {
			t.Helper()
			edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["quantization_config"] = map[string]any{"quant_method": "gptq", "bits": 4} })
		}, []string{"quantised to 4 bits (GPTQ)"}},
		"another architecture": {func(t *testing.T, dir string) {
			t.Helper()
			edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["model_type"] = "mamba" })
		}, []string{`architecture "mamba" is unknown`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			dir := f.copyModel(t, "m")
			c.change(t, dir)
			f.name("fine_tuner.base_model_id", dir)
			f.specification.FineTuner.BaseModelID = "models/mine"
			got := f.check(t).Faults
			text := fmt.Sprint(got)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in %s", want, text)
				}
			}
			if len(got) == 0 || strings.Contains(text, dir) || !strings.Contains(text, "models/mine") {
				t.Errorf("faults %s", text)
			}
		})
	}
}

// TestCheckAdapters: an adapter is compared with its base model where that is on this
// machine, and its data is rendered with the base model's tokenizer.
func TestCheckAdapters(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	base := f.copyModel(t, "m")
	m, err := llm.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.AttachLoRA(llm.LoRAConfig{Rank: 2, Alpha: 4, TargetModules: []string{"q_proj"}}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(f.dir, "a")
	if err := m.SaveAdapter(dir, base); err != nil {
		t.Fatal(err)
	}
	f.name("fine_tuner.base_model_id", dir)
	f.files["fine_tuner.base_model_id.base"] = base
	if got := f.check(t); len(got.Faults) > 0 {
		t.Errorf("nothing is wrong: %v", got.Faults)
	}
	edit(t, filepath.Join(base, "tokenizer_config.json"), func(c map[string]any) {
		c["chat_template"] = "{% for m in messages %}{% if m.content == 'no' %}{{ raise_exception('it says no') }}{% endif %}{{ m.content }}{% endfor %}"
	})
	f.name("fine_tuner.training_data_id", f.write(t, "other.jsonl", `{"question":"no","answer":"yes"}`))
	if got := f.check(t); len(got.Faults) != 1 || got.Faults[0].Key != "fine_tuner.training_data_id" {
		t.Errorf("faults %v", got.Faults)
	}
	f.name("fine_tuner.training_data_id", f.files["inferencer.testing_data_id"])
	edit(t, filepath.Join(dir, "adapter_config.json"), func(c map[string]any) { c["r"] = 3 })
	got := f.check(t)
	if text := fmt.Sprint(got.Faults); len(got.Faults) != 4 || !strings.Contains(text, "has shape [2 ") {
		t.Errorf("%d faults %s", len(got.Faults), text)
	}
	// Without the base model the adapter alone is looked at.
	delete(f.files, "fine_tuner.base_model_id.base")
	edit(t, filepath.Join(dir, "adapter_config.json"), func(c map[string]any) { c["trainable_token_indices"] = []int{1} })
	if text := fmt.Sprint(f.check(t).Faults); !strings.Contains(text, "trainable_token_indices") {
		t.Errorf("faults %s", text)
	}
}

// TestCheckNotes: what is unusual about a model that can be used is a note.
func TestCheckNotes(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	dir := f.copyModel(t, "m")
	edit(t, filepath.Join(dir, "tokenizer_config.json"), func(c map[string]any) {
		c["chat_template"] = "{% for m in messages %}<|start_header_id|>{{ m.role }}{{ m.content }}{% endfor %}"
	})
	f.name("fine_tuner.base_model_id", dir)
	got := f.check(t)
	if text := fmt.Sprint(got.Notes); len(got.Faults) > 0 || !strings.Contains(text, "fine_tuner.base_model_id") || !strings.Contains(text, "<|start_header_id|>") {
		t.Errorf("%+v", got)
	}
}

// TestCheckTellsOfSharedData: that two keys name the same file or the same split is said
// before anything runs, by the later of them, under whatever names. Different rows, and
// what no phase reads, get no note.
func TestCheckTellsOfSharedData(t *testing.T) {
	t.Parallel()
	const train, validation, test = "fine_tuner.training_data_id", "fine_tuner.validation_data_id", "inferencer.testing_data_id"
	f := newFolder(t)
	one := f.files[train]
	other := f.files[test]
	link := filepath.Join(f.dir, "link.jsonl")
	if err := os.Symlink(one, link); err != nil {
		t.Fatal(err)
	}
	data := filepath.Dir(f.write(t, "data/train.jsonl", `{"question":"q","answer":"a"}`))
	f.write(t, "data/validation.jsonl", `{"question":"q","answer":"a"}`)
	f.write(t, "data/test.jsonl", `{"question":"q","answer":"a"}`)
	for name, c := range map[string]struct {
		train, validation, test string
		want                    []string
	}{
		"other files":          {one, "", other, nil},
		"test data":            {one, "", one, []string{test + ": " + train + " names the same file"}},
		"by a link":            {one, "", link, []string{test + ": " + train + " names the same file"}},
		"validation":           {one, one, other, []string{validation + ": " + train + " names the same file"}},
		"validated and tested": {one, other, other, []string{test + ": " + validation + " names the same file"}},
		"all three":            {one, one, one, []string{validation + ": " + train + " names the same file", test + ": " + train + " names the same file"}},
		"own splits":           {data, data, data, nil},
		"the same split":       {data + ":train", "", data + ":train", []string{test + ": " + train + " names the same split"}},
		"other splits":         {data + ":train", "", data + ":test", nil},
		"a file of the folder": {data, "", data + "/train.jsonl", nil},
		"splits of the Hub":    {"o/n", "", "o/n", nil},
		"a split of the Hub":   {"o/n:train", "", "o/n:train", []string{test + ": " + train + " names the same split"}},
	} {
		f := &folder{host: f.host, specification: spec.Defaults(), files: map[string]string{}}
		for key, path := range map[string]string{train: c.train, validation: c.validation, test: c.test} {
			f.name(key, path)
			if place, _, _ := strings.Cut(path, ":"); place == "" || place == "o/n" {
				delete(f.files, key)
			} else {
				f.files[key] = place
			}
		}
		got := f.check(t)
		if lines := got.Notes.Lines(); len(got.Faults) > 0 || !slices.Equal(lines, c.want) {
			t.Errorf("%s: notes %q, want %q; faults %v", name, lines, c.want, got.Faults)
		}
		f.specification.Pipeline.EnableInference = false
		delete(f.files, test) // as it is for a run that does not read it
		if text := fmt.Sprint(f.check(t).Notes); strings.Contains(text, test) {
			t.Errorf("%s: nobody reads the test data: %s", name, text)
		}
	}
}

// TestCheckTellsOfLongRows and of ranks that the shapes of the model make useless.
func TestCheckTellsOfLongRows(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	dir := f.copyModel(t, "m")
	edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["max_position_embeddings"] = 8 })
	f.name("fine_tuner.base_model_id", dir)
	f.specification.FineTuner.Rank = 1000
	got := f.check(t)
	warnings := strings.Join(got.Warnings, "\n")
	for _, want := range []string{
		"fine_tuner.training_data_id: 1 of the first 1 rows are longer than the 8 tokens that the model was made for",
		"inferencer.testing_data_id: 1 of the first 1 prompts are longer than the 8 tokens",
	} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no %q in %s", want, warnings)
		}
	}
	if len(got.Faults) > 0 || len(got.Notes) != 1 || got.Notes[0].Key != "fine_tuner.rank" || !strings.Contains(got.Notes[0].Message, "k_proj") {
		t.Errorf("%+v", got)
	}
	f.specification.FineTuner.Engine, f.specification.Inferencer.Engine = "trl", "openai"
	if got := f.check(t); len(got.Warnings)+len(got.Notes) > 0 {
		t.Errorf("other engines know what they do: %+v", got)
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
	if body, err = json.Marshal(all); err == nil {
		err = os.WriteFile(path, body, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTooLarge has models on machines whose memory is too small for one phase or another.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	const enough = 1 << 30
	for name, one := range map[string]struct {
		memory int64
		change func(*events.Specification)
		want   string // a part of the text; empty: nothing is too large
	}{
		"enough":      {enough, func(*events.Specification) {}, ""},
		"training":    {20e6, func(s *events.Specification) { s.FineTuner.FullFinetuning = true }, "the training needs "},
		"an adapter":  {20e6, func(*events.Specification) {}, ""},
		"answers":     {3e6, func(s *events.Specification) { s.Pipeline.EnableFinetuning = false }, "the model needs "},
		"its own":     {3e6, func(s *events.Specification) { s.FineTuner.Engine = "trl" }, "the model needs "},
		"not at work": {3e6, func(s *events.Specification) { s.FineTuner.Engine, s.Inferencer.Engine = "trl", spec.OpenAI }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.host = *hostmemorytest.Limited(t, one.memory)
			one.change(&f.specification)
			found := f.check(t)
			if len(found.Faults) > 0 || (one.want != "") != (len(found.TooLarge) == 1) {
				t.Fatalf("faults %v, too large %v", found.Faults, found.TooLarge)
			}
			if one.want != "" && (found.TooLarge[0].Key != "fine_tuner.base_model_id" || !strings.Contains(found.TooLarge[0].Message, one.want)) {
				t.Error(found.TooLarge)
			}
		})
	}
}
