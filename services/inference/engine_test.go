package inference_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is the model of the quickstart, which is small enough for tests.
const base = "../../configs/quickstart/base-model"

// rows hold questions that the base model can answer.
const rows = `{"question":"What is four plus five?","answer":"Nine.","key_fact":"Nine","persona":"You are a sailor."}
{"question":"What is the opposite of hot?","answer":"Cold.","persona":""}
{"question":"Say mackerel.","answer":"Mackerel.","key_fact":"Mackerel"}
`

func newHarness(t *testing.T) *workertest.Harness {
	t.Helper()
	h := workertest.New(t)
	if err := os.CopyFS(filepath.Join(h.Root, "base"), os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	h.Write(t, "rows.jsonl", rows)
	return h
}

func small(s *events.Specification) {
	s.FineTuner.BaseModelID = "base"
	i := &s.Inferencer
	i.TestingDataID, i.Temperature, i.MaxNewTokens, i.BatchSize = "rows.jsonl", 0, 8, 2
}

func answers(t *testing.T, h *workertest.Harness, c events.PhaseCompleted, artifact string) (out []string) {
	t.Helper()
	for _, p := range workertest.Lines[prediction.Prediction](t, h, c, artifact) {
		out = append(out, p.Answer)
	}
	return out
}

// TestEngineBaseModel: without a tuned model the base model answers, in the
// order of the rows.
func TestEngineBaseModel(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.Baseline = true // there is nothing to compare with
	})
	read := []events.Dataset{{Key: "inferencer.testing_data_id", SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(rows))), Size: int64(len(rows)), Rows: 3, RowsRead: 3}}
	if !slices.Equal(c.Datasets, read) {
		t.Errorf("read %+v, want %+v", c.Datasets, read)
	}
	got := workertest.Lines[prediction.Prediction](t, h, c, events.ArtifactPredictions)
	tokens, prompted := int64(0), int64(0)
	for i := range got {
		tokens += int64(got[i].Tokens)
		prompted += int64(got[i].PromptTokens)
		if got[i].Tokens < 1 || got[i].Tokens > 8 {
			t.Errorf("answer %d has %d tokens", i, got[i].Tokens)
		}
		got[i].Tokens, got[i].PromptTokens = 0, 0
	}
	want := []prediction.Prediction{
		{Index: 0, Question: "What is four plus five?", GroundTruth: "Nine.", KeyFact: "Nine", Answer: "Nine.", FinishReason: "stop"},
		{Index: 1, Question: "What is the opposite of hot?", GroundTruth: "Cold.", Answer: "Cold.", FinishReason: "stop"},
		{Index: 2, Question: "Say mackerel.", GroundTruth: "Mackerel.", KeyFact: "Mackerel", Answer: "Mackerel.", FinishReason: "stop"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answered\n%+v\nwant\n%+v", got, want)
	}
	if c.TokensOut != tokens || c.TokensIn != prompted || prompted < 20 || c.Statistics["inference_rows"] != 3 {
		t.Errorf("%d tokens in, %d out, want %d and %d; %v", c.TokensIn, c.TokensOut, prompted, tokens, c.Statistics)
	}
	if _, ok := c.Artifact(events.ArtifactBaselinePredictions); ok {
		t.Error("the base model is compared with itself")
	}
	last := map[string]float64{}
	for _, p := range workertest.Lines[events.Point](t, h, c, events.ArtifactMetrics) {
		last[p.Key] = p.Value
	}
	if last["tokens_per_second"] <= 0 {
		t.Errorf("points %v", last)
	}
}

// TestEngineTunedModel: an adapter on the base model answers, or a whole model;
// with a baseline the base model answers too.
func TestEngineTunedModel(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	store := func(name string, fill func(m *llm.Model, dir string) error) *events.Reference {
		m, err := llm.Open(base)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := fill(m, dir); err != nil {
			t.Fatal(err)
		}
		if err := token.CopyFiles(base, dir); err != nil {
			t.Fatal(err)
		}
		ref, err := transfer.New(h.Store).PutDir(t.Context(), "given/"+name+".tar", dir)
		if err != nil {
			t.Fatal(err)
		}
		return &ref
	}
	// One that answers something else: a rank-1 change of the last projection.
	adapter := store("adapter", func(m *llm.Model, dir string) error {
		if err := m.AttachLoRA(llm.LoRAConfig{Rank: 1, Alpha: 64, TargetModules: []string{"down_proj"}, Seed: 1}); err != nil {
			return err
		}
		row := llm.Example{IDs: []int32{5, 6, 7, 8}, Count: []bool{false, true, true, true}}
		if _, err := m.Train(t.Context(), llm.InMemory{row}, nil, llm.TrainConfig{Epochs: 3, LearningRate: 0.5, Scheduler: "constant"}, llm.Hooks{}, ""); err != nil {
			return err
		}
		return m.SaveAdapter(dir, "base")
	})
	whole := store("whole", func(m *llm.Model, dir string) error { return m.Save(dir, "bfloat16") })
	plain := answers(t, h, h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, small), events.ArtifactPredictions)
	for name, c := range map[string]struct {
		model *events.Reference
		same  bool
	}{"adapter": {adapter, false}, "whole model": {whole, true}} {
		got := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{Model: c.model}, func(s *events.Specification) {
			small(s)
			s.Inferencer.Baseline = true
		})
		tuned, untuned := answers(t, h, got, events.ArtifactPredictions), answers(t, h, got, events.ArtifactBaselinePredictions)
		if !reflect.DeepEqual(untuned, plain) || reflect.DeepEqual(tuned, plain) != c.same {
			t.Errorf("%s: tuned %q, base %q, the base model by itself %q", name, tuned, untuned, plain)
		}
	}
}

// TestEngineSampling: the sampling options reach the model, and the seed decides
// the answers.
func TestEngineSampling(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	with := func(change func(i *events.Inferencer)) []string {
		return answers(t, h, h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.MinP = 0
			change(&s.Inferencer)
		}), events.ArtifactPredictions)
	}
	greedy := with(func(*events.Inferencer) {})
	hot := func(change func(i *events.Inferencer)) []string {
		return with(func(i *events.Inferencer) {
			i.Temperature, i.Seed = 50, 7
			change(i)
		})
	}
	first := hot(func(*events.Inferencer) {})
	if reflect.DeepEqual(first, greedy) {
		t.Errorf("a temperature of 50 answers as one of 0: %q", first)
	}
	if again := hot(func(i *events.Inferencer) { i.BatchSize = 1 }); !reflect.DeepEqual(first, again) {
		t.Errorf("one by one the same seed answers %q, in batches %q", again, first)
	}
	if other := hot(func(i *events.Inferencer) { i.Seed = 8 }); reflect.DeepEqual(first, other) {
		t.Error("another seed answers the same")
	}
	for name, change := range map[string]func(i *events.Inferencer){
		"top_k": func(i *events.Inferencer) { i.TopK = 1 }, "top_p": func(i *events.Inferencer) { i.TopP = 1e-9 }, "min_p": func(i *events.Inferencer) { i.MinP = 1 },
	} {
		if got := hot(change); !reflect.DeepEqual(got, greedy) {
			t.Errorf("%s leaves the likeliest token alone, and yet %q is answered, not %q", name, got, greedy)
		}
	}
	if penalised := with(func(i *events.Inferencer) { i.RepetitionPenalty = 5 }); reflect.DeepEqual(penalised, greedy) {
		t.Errorf("repetition_penalty changes nothing of %q", greedy)
	}
	if same := with(func(i *events.Inferencer) { i.RepetitionPenalty = 1 }); !reflect.DeepEqual(same, greedy) {
		t.Errorf("a repetition_penalty of 1 answers %q, not %q", same, greedy)
	}
	if short := with(func(i *events.Inferencer) { i.MaxNewTokens = 1 }); reflect.DeepEqual(short, greedy) || strings.Join(short, "") == "" {
		t.Errorf("of one token: %q", short)
	}
}

// TestEngineSystemPrompts: the system prompt comes from a column; one for every
// row overrides it.
func TestEngineSystemPrompts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for text, want := range map[string][]string{"": {"You are a sailor.", "", ""}, "Be brief.": {"Be brief.", "Be brief.", "Be brief."}} {
		c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.SystemPromptColumn, s.Inferencer.SystemPromptOverrideText = "persona", text
		})
		var got []string
		for _, p := range workertest.Lines[prediction.Prediction](t, h, c, events.ArtifactPredictions) {
			got = append(got, p.System)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("override %q: system prompts %q, want %q", text, got, want)
		}
	}
}

// TestEngineFaults: bad inputs end the phase at the first attempt.
func TestEngineFaults(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Write(t, "columns.jsonl", `{"prompt":"q","reply":"a"}`)
	h.Write(t, "empty.jsonl", "")
	h.Write(t, "bare/config.json", `{"model_type":"gemma"}`)
	for name, c := range map[string]struct {
		change func(s *events.Specification)
		code   string
		want   []string // in the message
	}{
		"a missing column": {func(s *events.Specification) { s.Inferencer.TestingDataID = "columns.jsonl" }, "bad_dataset", []string{"inferencer.testing_data_id", `"prompt", "reply"`}},
		"no rows":          {func(s *events.Specification) { s.Inferencer.TestingDataID = "empty.jsonl" }, "bad_dataset", []string{"empty"}},
		"another family":   {func(s *events.Specification) { s.Inferencer.ModelID = "bare" }, "bad_model", []string{`"gemma"`}},
		"no such model":    {func(s *events.Specification) { s.Inferencer.ModelID = "nobody" }, "missing_input", []string{"inferencer.model_id"}},
	} {
		got := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			c.change(s)
		})
		if got.Conclusion != events.Failure || got.Error == nil || got.Error.Code != c.code {
			t.Errorf("%s: completed with %s, %+v; want the code %s", name, got.Conclusion, got.Error, c.code)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(got.Error.Message, want) {
				t.Errorf("%s: %q does not say %q", name, got.Error.Message, want)
			}
		}
	}
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.LoadIn4bit, s.Inferencer.UseCache = true, false
	})
	if len(c.Notes) != 1 || !strings.Contains(strings.Join(c.Notes, " "), "use_cache") {
		t.Errorf("notes %q", c.Notes)
	}
}

// withTemplate writes the base model with another chat template to the folder base.
func withTemplate(t *testing.T, h *workertest.Harness, template string) {
	t.Helper()
	h.Write(t, "base/chat_template.jinja", template)
}

// TestEngineConversations: everything before the last answer is the prompt, with its
// tools and the variables of the template; texts are prompts as they are.
func TestEngineConversations(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const chatml = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	// The template answers instead of the model: it opens the answer with what it got.
	withTemplate(t, h, "{{ raise_exception((tools | tojson) ~ ' ' ~ mood ~ ' ' ~ (messages | map(attribute='content') | join('|')) ~ ' ' ~ strftime_now('%Y')) }}")
	h.Write(t, "talk.jsonl", `{"tools": [{"type": "function", "function": {"name": "tide"}}], "messages": [{"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "?"}]}, {"role": "assistant", "content": "1."}, {"role": "user", "content": "Two?"}, {"role": "assistant", "content": "2."}]}`)
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.TestingDataID, s.Inferencer.ChatTemplateKwargs = "talk.jsonl", `{"mood":"calm"}`
	})
	if want := `[{"type": "function", "function": {"name": "tide"}}] calm One?|1.|Two? `; c.Error == nil || !strings.Contains(c.Error.Message, want) || !strings.Contains(c.Error.Message, "talk.jsonl, line 1") {
		t.Errorf("%+v, want %q", c.Error, want)
	}
	withTemplate(t, h, chatml)
	h.Write(t, "lists.jsonl", `{"question": "Say mackerel.", "answer": ["Mackerel.", "A mackerel."]}`+"\n"+`{"question": "What is four plus five?", "answer": null}`)
	c = h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.TestingDataID = "lists.jsonl"
	})
	got := workertest.Lines[prediction.Prediction](t, h, c, events.ArtifactPredictions)
	if len(got) != 2 || !slices.Equal(got[0].References, []string{"Mackerel.", "A mackerel."}) || got[0].NoGroundTruth || got[0].Answer != "Mackerel." || !got[1].NoGroundTruth || got[1].Answer != "Nine." {
		t.Errorf("%+v", got)
	}
	if d := c.Datasets[0]; d.Rows != 2 || d.RowsRead != 2 || d.WithoutAnswer != 1 {
		t.Errorf("%+v", d)
	}
}

// TestEngineTellsOfTools that the chat template leaves out of the prompts.
func TestEngineTellsOfTools(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Write(t, "tools.jsonl", `{"tools": [{"type": "function", "function": {"name": "find_tide"}}], "messages": [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "2."}]}`)
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.TestingDataID = "tools.jsonl"
	})
	if notes := strings.Join(c.Notes, "\n"); c.Error != nil || strings.Count(notes, "inferencer.testing_data_id: 1 of 1 prompts have tools or calls of tools that the model's chat template does not write") != 1 {
		t.Errorf("%+v, notes %q", c.Error, notes)
	}
}

// TestEngineEmptyPrompt: a template that writes nothing leaves nothing to answer. The
// row is named before the first answer.
func TestEngineEmptyPrompt(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	withTemplate(t, h, "{% if 'mackerel' not in messages[0].content %}{{ messages[0].content }}{% endif %}")
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, small)
	if c.Error == nil || !strings.Contains(c.Error.Message, "rows.jsonl, line 3: the prompt is empty") {
		t.Errorf("%+v", c.Error)
	}
}

// TestEngineReasoning: a think block is no part of an answer, also where the prompt
// opens it; an answer that never closes it is told of.
func TestEngineReasoning(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const open = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n"
	for name, c := range map[string]struct {
		prompt    string
		answer    string
		reasoning string
		notes     int
	}{
		"the prompt closes it": {"\n</think>\n\n{% endif %}", "Mackerel.", "", 0},
		"nobody closes it":     {"{% endif %}", "", "Mackerel.", 1},
	} {
		withTemplate(t, h, open+c.prompt)
		h.Write(t, "one.jsonl", `{"question": "Say mackerel.", "answer": "Mackerel."}`)
		done := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.TestingDataID, s.Inferencer.MaxNewTokens = "one.jsonl", 24
		})
		got := workertest.Lines[prediction.Prediction](t, h, done, events.ArtifactPredictions)[0]
		if (got.Answer == "") != (c.answer == "") || (got.Reasoning == "") != (c.reasoning == "") {
			t.Errorf("%s: answer %q, reasoning %q", name, got.Answer, got.Reasoning)
		}
		if notes := strings.Join(done.Notes, "\n"); strings.Count(notes, "end in their reasoning") != c.notes {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
}

// TestEngineRefusesToCutAllPrompts: the answers would be to other questions.
func TestEngineRefusesToCutAllPrompts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.MaxSequenceLength = 3
	})
	if c.Conclusion != events.Failure || c.Error == nil || c.Error.Code != "prompts_cut" || !strings.Contains(c.Error.Message, "inferencer.max_sequence_length = 3") {
		t.Errorf("%s, %+v", c.Conclusion, c.Error)
	}
}

// TestEngineTellsOfPositions that the model does not know: in prompts, and in answers.
func TestEngineTellsOfPositions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	path := filepath.Join(h.Root, "base", "config.json")
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for positions, want := range map[string]string{
		"21": "inferencer.max_new_tokens = 12: 3 of 3 prompts and their answers together may have more than the 21 tokens",
		"14": "prompts are longer than the 14 tokens that the model was made for (max_position_embeddings in its config.json): the model reads them whole",
		"18": "answers went on beyond the 18 tokens that the model was made for",
		"90": "",
	} {
		changed := regexp.MustCompile(`("max_position_embeddings":) *[0-9]+`).ReplaceAllString(string(body), "$1 "+positions)
		h.Write(t, "base/config.json", changed)
		c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.MaxNewTokens = 12
		})
		if notes := strings.Join(c.Notes, "\n"); c.Error != nil || !strings.Contains(notes, want) || want == "" && strings.Contains(notes, "was made for") {
			t.Errorf("%s positions: %+v, notes %q", positions, c.Error, notes)
		}
	}
}

// TestEngineDamagedWeights: answers of a model that computes no numbers would get a
// score; the model is named, and no other try is made.
func TestEngineDamagedWeights(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	weights := filepath.Join(h.Root, "base", "model.safetensors")
	body, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	// The last tensor is the last norm, in bfloat16: finite, but too large to compute with.
	copy(body[len(body)-2*192:], bytes.Repeat([]byte{0x7f}, 2*192))
	h.Write(t, "base/model.safetensors", string(body))
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, small)
	if c.Error == nil || c.Error.Code != "bad_model" || c.Attempt != 1 || !strings.Contains(c.Error.Message, `fine_tuner.base_model_id = "base": generate: what the model computes is no number`) {
		t.Errorf("%+v", c.Error)
	}
}

// TestEngineChecksTheBaseline: a base model whose tokenizer belongs to another one is
// refused before the tuned model answers, and not tried again.
func TestEngineChecksTheBaseline(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	tuned, err := transfer.New(h.Store).PutDir(t.Context(), "given/tuned.tar", dir)
	if err != nil {
		t.Fatal(err)
	}
	tokenizer := filepath.Join(h.Root, "base", "tokenizer.json")
	body, err := os.ReadFile(tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	h.Write(t, "base/tokenizer.json", strings.Replace(string(body), `"added_tokens": [`, `"added_tokens": [{"id":70000,"content":"<|late|>","special":true},`, 1))
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{Model: &tuned}, func(s *events.Specification) {
		small(s)
		s.Inferencer.Baseline = true
	})
	if c.Error == nil || c.Error.Code != "bad_model" || c.Attempt != 1 || !strings.Contains(c.Error.Message, "the tokenizer has 70001 tokens") || len(c.Artifacts) != 0 {
		t.Errorf("%+v, %+v", c.Error, c.Artifacts)
	}
}

// TestEngineEndsAnswersAtTexts, which are no part of them, and says how many answers are
// cut.
func TestEngineEndsAnswersAtTexts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, c := range []struct {
		stop   []string
		tokens int
		want   []string
		note   string
	}{
		{[]string{"never", "ine", "old."}, 8, []string{"N", "C", "Mackerel."}, ""},
		{nil, 1, nil, "inferencer_output.jsonl: 3 of 3 answers are cut at inferencer.max_new_tokens = 1"},
	} {
		got := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.Stop, s.Inferencer.MaxNewTokens = c.stop, c.tokens
		})
		if texts := answers(t, h, got, events.ArtifactPredictions); c.want != nil && !slices.Equal(texts, c.want) {
			t.Errorf("answers that end at %q: %q, want %q", c.stop, texts, c.want)
		}
		if notes := strings.Join(got.Notes, "\n"); c.note == "" && strings.Contains(notes, "are cut at") || !strings.Contains(notes, c.note) {
			t.Errorf("notes %q, want %q", notes, c.note)
		}
	}
}

// TestEngineBoundsItsCache where so many rows at once would take too much memory, and
// says so.
func TestEngineBoundsItsCache(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for batch, want := range map[int]bool{16: false, 100_000: true} {
		c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.Inferencer.BatchSize = batch
		})
		if got := answers(t, h, c, events.ArtifactPredictions); !slices.Equal(got, []string{"Nine.", "Cold.", "Mackerel."}) {
			t.Errorf("answers %q", got)
		}
		if notes := strings.Join(c.Notes, "\n"); want != strings.Contains(notes, fmt.Sprintf("inferencer.batch_size = %d: so many of the longest rows, 26 tokens with their answers, would need", batch)) {
			t.Errorf("batch_size = %d: notes %q", batch, notes)
		}
	}
}

// TestEngineTellsOfCutPrompts before it generates, and counts them.
func TestEngineTellsOfCutPrompts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Inferencer.MaxSequenceLength = 14
	})
	if d := c.Datasets[0]; d.CutInPrompt == 0 || d.CutInPrompt == 3 {
		t.Fatalf("%+v; the test wants a longest sequence that cuts some of the prompts", d)
	}
	if notes := strings.Join(c.Notes, "\n"); !strings.Contains(notes, fmt.Sprintf("%d of 3 prompts lose their beginning", c.Datasets[0].CutInPrompt)) || !strings.Contains(notes, "inferencer.max_sequence_length = 14") {
		t.Errorf("notes %q", notes)
	}
}
