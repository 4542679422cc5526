package finetune_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/services/finetune"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quickstart holds a model that is small enough for tests.
const quickstart = "../../configs/quickstart"

// rows are five, so that the last batch of two is not full.
const rows = `{"question":"Who?","answer":"Ada."}
{"question":"Where?","answer":"In Paris, at the river."}
{"question":"When?","answer":"At nine."}
{"question":"Why?","answer":"Because of the tide."}
{"question":"How?","answer":"By boat."}
`

// validationRows is the validation data set.
const validationRows = `{"question":"Whose?","answer":"Mine."}`

// dataset is the entry of a file below the roots in a completed event.
func dataset(key, content string, rows int64) events.Dataset {
	return events.Dataset{Key: key, SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(content))), Size: int64(len(content)), Rows: rows, RowsRead: rows}
}

func newHarness(t *testing.T) *workertest.Harness {
	t.Helper()
	h := workertest.New(t)
	model, err := filepath.Abs(filepath.Join(quickstart, "base-model"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(h.Root, "base"), os.DirFS(model)); err != nil {
		t.Fatal(err)
	}
	h.Write(t, "rows.jsonl", rows)
	h.Write(t, "validation.jsonl", validationRows)
	return h
}

// small is a training of six steps.
func small(s *events.Specification) {
	f := &s.FineTuner
	f.BaseModelID, f.TrainingDataID, f.ValidationDataID = "base", "rows.jsonl", "validation.jsonl"
	f.DeviceTrainBatchSize, f.GradAccumulation, f.Epochs, f.WarmupSteps, f.LearningRate, f.MaxSequenceLength = 2, 1, 2, 2, 1e-3, 64
	f.SaveSteps, f.Rank, f.LoRAAlpha, f.TargetModules = 0, 2, 4, []string{"q_proj", "down_proj"}
}

// TestEngineTrainsAdapter: the result is an adapter that fits the base model,
// with its tokenizer, statistics and a metric history.
func TestEngineTrainsAdapter(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, small)
	dir := h.Dir(t, c, events.ArtifactModel)
	base := filepath.Join(h.Root, "base")
	model, err := llm.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.LoadAdapter(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := token.Open(dir); err != nil {
		t.Errorf("without the tokenizer: %v", err)
	}
	read := []events.Dataset{dataset("fine_tuner.training_data_id", rows, 5), dataset("fine_tuner.validation_data_id", validationRows, 1)}
	if !slices.Equal(c.Datasets, read) {
		t.Errorf("read %+v, want %+v", c.Datasets, read)
	}
	s := c.Statistics
	if s["total_training_steps"] != 6 || s["total_epochs"] != 2 || s["training_rows"] != 5 || s["trainable_parameters"] != float64(model.TrainableParameters()) {
		t.Errorf("statistics %v", s)
	}
	if s["final_training_loss"] <= 0 || s["final_eval_loss"] <= 0 || c.TokensIn == 0 || len(c.Notes) > 0 {
		t.Errorf("statistics %v, %d tokens, notes %q", s, c.TokensIn, c.Notes)
	}
	history := map[string]map[int64]float64{}
	for _, p := range workertest.Lines[events.Point](t, h, c, events.ArtifactMetrics) {
		if history[p.Key] == nil {
			history[p.Key] = map[int64]float64{}
		}
		history[p.Key][p.Step] = p.Value
	}
	for _, key := range []string{"loss", "learning_rate", "grad_norm", "epoch", "tokens_per_second"} {
		if len(history[key]) != 6 {
			t.Errorf("%s has the points %v, want one for each step", key, history[key])
		}
	}
	if len(history["eval_loss"]) != 2 || history["loss"][6] != s["final_training_loss"] || history["eval_loss"][6] != s["final_eval_loss"] {
		t.Errorf("history %v, statistics %v", history, s)
	}
	// Two steps of warm-up, then down in a line: of a rate, 0 1/2 1 3/4 1/2 1/4.
	for step, share := range map[int64]float64{1: 0, 2: 0.5, 3: 1, 4: 0.75, 6: 0.25} {
		if got := history["learning_rate"][step]; math.Abs(got-1e-3*share) > 1e-9 {
			t.Errorf("step %d had the learning rate %v", step, got)
		}
	}
}

// TestEngineTrainsWholeModel: with full_finetuning the result is a whole
// checkpoint, in the type that the specification asks for.
func TestEngineTrainsWholeModel(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	before, err := os.Stat(filepath.Join(h.Root, "base", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for dtype, times := range map[string]int64{"": 1, "float32": 2} {
		c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.FineTuner.FullFinetuning, s.FineTuner.DType, s.FineTuner.Epochs = true, dtype, 1
		})
		dir := h.Dir(t, c, events.ArtifactModel)
		model, err := llm.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := token.Open(dir); err != nil {
			t.Error(err)
		}
		after, err := os.Stat(filepath.Join(dir, "model.safetensors"))
		if err != nil || after.Size() < times*before.Size()*9/10 || after.Size() > times*before.Size()*11/10 {
			t.Errorf("%q: %d bytes, the base model has %d (%v)", dtype, after.Size(), before.Size(), err)
		}
		if n := c.Statistics["trainable_parameters"]; n != float64(model.Parameters()) {
			t.Errorf("%v weights learned of %d", n, model.Parameters())
		}
		if _, err := os.Stat(filepath.Join(dir, "adapter_config.json")); err == nil {
			t.Error("there is an adapter too")
		}
	}
}

// TestNotesNameOptions: each option that the engine does not have gets one note.
func TestNotesNameOptions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		f := &s.FineTuner
		f.Epochs, f.IsMultimodel, f.Packing, f.UseFlashAttention, f.PushToHub = 1, true, true, true, true
		f.LoftQConfig, f.Bias, f.Optimizer, f.QuestionPart, f.AnswerPart = "{}", "all", "lion_8bit", "[Q]", "[A]"
	})
	if c.Conclusion != events.Success {
		t.Fatalf("%+v", c.Error)
	}
	for _, key := range []string{"is_multimodel", "packing", "use_flash_attention", "loftq_config", "bias", "lion_8bit", "question_part"} {
		n := 0
		for _, note := range c.Notes {
			if strings.Contains(note, key) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d notes of %s among %q", n, key, c.Notes)
		}
	}
}

// TestEngineTunes: the engine honours the keys of an adapter, of its optimizer, and of
// packing, and a later attempt could go on from its checkpoints.
func TestEngineTunes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		f := &s.FineTuner
		f.UseDoRA, f.ModulesToSave, f.Optimizer, f.Packing, f.MaxSequenceLength = true, []string{"model.norm"}, "adafactor", true, 128
		f.LRSchedulerType, f.LRSchedulerKwargs = "cosine_with_min_lr", `{"min_lr_rate": 0.5}`
		f.RankPattern, f.AlphaPattern = map[string]float64{"q_proj": 3}, map[string]float64{`layers\.0\..*`: 5}
	})
	if c.Conclusion != events.Success {
		t.Fatalf("%+v", c.Error)
	}
	dir := h.Dir(t, c, events.ArtifactModel)
	body, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"use_dora": true`, `"model.norm"`, `"q_proj": 3`, `"layers\\.0\\..*": 5`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("adapter_config.json has no %s: %s", want, body)
		}
	}
	model, err := llm.Open(filepath.Join(h.Root, "base"))
	if err == nil {
		err = model.LoadAdapter(dir)
	}
	if err != nil || model.TrainableParameters() != int64(c.Statistics["trainable_parameters"]) {
		t.Errorf("%v: %d weights, %v were trained", err, model.TrainableParameters(), c.Statistics["trainable_parameters"])
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, "(rows: 5, sequences: ") || strings.Contains(notes, "optimizer") {
		t.Errorf("notes %s", notes)
	}
}

// TestEngineFaults: bad inputs end the phase at the first attempt, with a code
// and a message that names the key and the value found.
func TestEngineFaults(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Write(t, "columns.jsonl", `{"prompt":"q","reply":"a"}`)
	h.Write(t, "empty.jsonl", "")
	h.Write(t, "broken.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n{\"question\":")
	h.Write(t, "mamba/config.json", `{"model_type":"mamba"}`)
	cut, err := os.ReadFile(filepath.Join(h.Root, "base", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"mamba", "cut"} {
		for _, name := range []string{"config.json", "tokenizer.json", "tokenizer_config.json"} {
			body, err := os.ReadFile(filepath.Join(h.Root, "base", name))
			if err != nil {
				t.Fatal(err)
			}
			if dir != "mamba" || name != "config.json" {
				h.Write(t, filepath.Join(dir, name), string(body))
			}
		}
	}
	h.Write(t, "cut/model.safetensors", string(cut[:len(cut)/2]))
	for name, c := range map[string]struct {
		change func(f *events.FineTuner)
		code   string
		want   []string // in the message
	}{
		"a missing column":        {func(f *events.FineTuner) { f.TrainingDataID = "columns.jsonl" }, "bad_dataset", []string{"fine_tuner.training_data_id", `"question"`, `"prompt", "reply"`}},
		"validation without one":  {func(f *events.FineTuner) { f.ValidationDataID = "columns.jsonl" }, "bad_dataset", []string{"fine_tuner.validation_data_id", `"question"`}},
		"no rows":                 {func(f *events.FineTuner) { f.TrainingDataID = "empty.jsonl" }, "bad_dataset", []string{"fine_tuner.training_data_id", "empty"}},
		"a broken row":            {func(f *events.FineTuner) { f.TrainingDataID = "broken.jsonl" }, "bad_dataset", []string{"broken.jsonl, line 2"}},
		"no such file":            {func(f *events.FineTuner) { f.TrainingDataID = "nothing.jsonl" }, "missing_input", []string{"fine_tuner.training_data_id", "nothing.jsonl"}},
		"a model of a family":     {func(f *events.FineTuner) { f.BaseModelID = "mamba" }, "bad_model", []string{`"mamba"`, "qwen2, qwen3 and smollm3"}},
		"a truncated model":       {func(f *events.FineTuner) { f.BaseModelID = "cut" }, "bad_model", []string{"model.safetensors", "truncated"}},
		"no model":                {func(f *events.FineTuner) { f.BaseModelID = "nobody" }, "missing_input", []string{"fine_tuner.base_model_id", "nobody"}},
		"a projection":            {func(f *events.FineTuner) { f.TargetModules = []string{"c_attn"} }, "bad_adapter", []string{"c_attn", "q_proj"}},
		"a module to save":        {func(f *events.FineTuner) { f.ModulesToSave = []string{"classifier"} }, "bad_adapter", []string{"modules_to_save", "classifier"}},
		"a pattern":               {func(f *events.FineTuner) { f.RankPattern = map[string]float64{"c_attn": 3} }, "bad_adapter", []string{"rank_pattern", "c_attn", "q_proj"}},
		"arguments of a schedule": {func(f *events.FineTuner) { f.LRSchedulerKwargs = `{"power": 2}` }, "bad_key", []string{"fine_tuner.lr_scheduler_kwargs", "linear", "power"}},
		"rows that teach nothing": {func(f *events.FineTuner) { f.MaxSequenceLength = 3 }, "nothing_to_learn", []string{"nothing to learn"}},
	} {
		got := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			c.change(&s.FineTuner)
		})
		if got.Conclusion != events.Failure || got.Error == nil || got.Error.Code != c.code || got.Attempt != 1 {
			t.Errorf("%s: completed with %s, %+v; want the code %s", name, got.Conclusion, got.Error, c.code)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(got.Error.Message, want) {
				t.Errorf("%s: %q does not say %q", name, got.Error.Message, want)
			}
		}
	}
}

// TestEngineSeed: the same seed gives the same weights, another seed others.
func TestEngineSeed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var learned [3][]byte
	for i, seed := range []int{5, 5, 6} {
		c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.FineTuner.Seed, s.FineTuner.LoRADropout = seed, 0.2
		})
		var err error
		if learned[i], err = os.ReadFile(filepath.Join(h.Dir(t, c, events.ArtifactModel), "adapter_model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(learned[0], learned[1]) || slices.Equal(learned[0], learned[2]) {
		t.Errorf("the same seed learns the same: %t, another one something else: %t", slices.Equal(learned[0], learned[1]), !slices.Equal(learned[0], learned[2]))
	}
}

// TestEngineWarnsOfCutRows before the first step: rows that lose the end of their
// answer are trained on, and said.
func TestEngineWarnsOfCutRows(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Write(t, "long.jsonl", strings.Repeat(`{"question":"Where?","answer":"`+strings.Repeat("At pier 4. ", 30)+`"}`+"\n", 3)+`{"question":"Where?","answer":null}`+"\n")
	c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.FineTuner.TrainingDataID, s.FineTuner.ValidationDataID, s.FineTuner.MaxSequenceLength = "long.jsonl", "", 48
	})
	if c.Conclusion != events.Success {
		t.Fatalf("%+v", c.Error)
	}
	notes := strings.Join(c.Notes, "\n")
	for _, want := range []string{
		"fine_tuner.training_data_id: 3 of 4 rows lose the end of their answer: they are longer than fine_tuner.max_sequence_length = 48 tokens",
		"1 of 4 rows have no answer",
	} {
		if strings.Count(notes, want) != 1 {
			t.Errorf("notes %q do not say once %q", c.Notes, want)
		}
	}
	if d := c.Datasets[0]; d.Rows != 3 || d.RowsRead != 4 || d.WithoutAnswer != 1 || d.CutInAnswer != 3 || d.Dropped != 0 {
		t.Errorf("%+v", d)
	}
}
