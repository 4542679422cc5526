package modelcard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/modelcard"
)

func scoredRun() events.Run {
	return events.Run{
		ID: "r1",
		Accepted: &events.PipelineAccepted{RunID: "r1", RunName: "harbour *book*", Specification: events.Specification{
			FineTuner: events.FineTuner{
				BaseModelID: "owner/base@v1", TrainingDataID: "owner/rows@main", ValidationDataID: "rows.jsonl", Rank: 32, LoRAAlpha: 64, Epochs: 3,
				TargetModules: events.Modules{"q_proj", "v_proj"}, SystemPromptOverrideText: "Be brief.\nBe \"kind\".",
			},
		}},
		Phases: map[events.Phase]*events.PhaseState{
			events.Finetune: {Completed: &events.PhaseCompleted{
				Conclusion: events.Success, EndedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
				Datasets: []events.Dataset{{Key: "fine_tuner.training_data_id", Rows: 7, SHA256: strings.Repeat("ab", 32)}},
			}},
			events.Evaluation: {Completed: &events.PhaseCompleted{
				Scores: map[string]float64{"exact_match": 0.75, "chrf": 0.5}, BaselineScores: map[string]float64{"exact_match": 0.25},
				Coverage: map[string]events.Coverage{"exact_match": {Scored: 3, Rows: 4}, "chrf": {Scored: 4, Rows: 4}},
				Gates:    []events.Gate{{Metric: "exact_match", Score: 0.75, AtLeast: 0.9}},
			}},
		},
	}
}

// TestCard: the card says what was trained on what, how well it does, and how
// it is loaded.
func TestCard(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		card        modelcard.Card
		says, never []string
	}{
		"adapter": {
			modelcard.Card{Run: scoredRun(), Kind: modelcard.Adapter, Base: "owner/base@v1", BaseOnHub: true},
			[]string{
				"---\nbase_model: \"owner/base\"\nbase_model_relation: adapter\nlibrary_name: peft\npipeline_tag: text-generation\ndatasets:\n- \"owner/rows\"\n",
				"# harbour \\*book\\*\n", "An adapter (LoRA) for `owner/base@v1`", "`r1`, which ended at 2026-01-02 03:04 UTC",
				"| chrf | - | 0.500 |\n| exact_match | 0.250 | 0.750 |\n", "The gate exact_match of at least 0.9 is missed.", "The score exact_match stands for 3 of 4 rows; the others have none.\n",
				"| fine_tuner.training_data_id | `owner/rows@main` | 7 | `abababababababab` |", "| rank | 32 |", "| target_modules | q_proj, v_proj |",
				"    Be brief.\n    Be \"kind\".\n", `{"role": "system", "content": "Be brief.\nBe \"kind\"."}`,
				"vllm serve owner/base --enable-lora --lora-modules tuned=. --max-lora-rank 32\n",
			},
			[]string{"rows.jsonl\"", "folder `base`"},
		},
		"adapter with its base": {
			modelcard.Card{Run: scoredRun(), Kind: modelcard.Adapter, Base: "models/base", BaseBeside: true},
			[]string{"The base model lies in the folder `base`", "vllm serve base --enable-lora"},
			[]string{"base_model:"},
		},
		"merged": {
			modelcard.Card{Run: scoredRun(), Kind: modelcard.Merged, Base: "owner/base", BaseOnHub: true},
			[]string{"base_model_relation: finetune\nlibrary_name: transformers\n", "merged into `owner/base`", "vllm serve .\n", "| rank | 32 |"},
			[]string{"peft"},
		},
		"full": {
			modelcard.Card{Run: events.Run{ID: "r2"}, Kind: modelcard.Full, Base: "base"},
			[]string{"# r2\n", "all weights were trained", "It was not scored"},
			[]string{"lora", "rank"},
		},
	} {
		var b strings.Builder
		if err := modelcard.Write(&b, c.card); err != nil {
			t.Fatal(err)
		}
		for _, says := range c.says {
			if !strings.Contains(b.String(), says) {
				t.Errorf("%s: the card lacks %q\n%s", name, says, b.String())
			}
		}
		for _, never := range c.never {
			if strings.Contains(b.String(), never) {
				t.Errorf("%s: the card has %q", name, never)
			}
		}
	}
}

// TestQuantisedBase: the card of an adapter says on which base model it was trained and scored,
// and how that is loaded.
func TestQuantisedBase(t *testing.T) {
	t.Parallel()
	const (
		four  = `BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)`
		eight = "BitsAndBytesConfig(load_in_8bit=True)"
	)
	for name, c := range map[string]struct {
		trained, scored int
		change          func(*events.Run)
		says            []string // none: nothing is said
	}{
		"not quantised":     {0, 0, nil, nil},
		"both in 4 bits":    {4, 4, nil, []string{"trained on the base model in 4 bits, and the scores above are those of that base model", four}},
		"trained in 4 bits": {4, 0, nil, []string{"in 4 bits; the scores above are those of the base model as it is stored, with", four}},
		"scored in 8 bits":  {0, 8, nil, []string{"The scores above are those of the base model in 8 bits", eight}},
		"4 and 8 bits":      {4, 8, nil, []string{"in 4 bits; the scores above are those of the base model in 8 bits", four}},
		"no scores":         {4, 4, func(r *events.Run) { delete(r.Phases, events.Evaluation) }, []string{"in 4 bits. The lines above", four}},
		"a server answered": {4, 0, func(r *events.Run) { r.Accepted.Specification.Inferencer.Engine = "openai" }, []string{"in 4 bits. The lines above", four}},
		"stored in 4 bits": {8, 0, func(r *events.Run) {
			r.Phases[events.Finetune].Completed.Used = map[string]string{"fine_tuner.load_in_4bit": "true", "fine_tuner.load_in_8bit": "false"}
		}, nil},
		"all weights": {4, 0, func(r *events.Run) { r.Accepted.Specification.FineTuner.FullFinetuning = true }, nil},
	} {
		run := scoredRun()
		run.Phases[events.Inference] = &events.PhaseState{Completed: &events.PhaseCompleted{Conclusion: events.Success}}
		f, i := &run.Accepted.Specification.FineTuner, &run.Accepted.Specification.Inferencer
		f.LoadIn4bit, f.LoadIn8bit, i.LoadIn4bit, i.LoadIn8bit = c.trained == 4, c.trained == 8, c.scored == 4, c.scored == 8
		if c.change != nil {
			c.change(&run)
		}
		var b strings.Builder
		if err := modelcard.Write(&b, modelcard.Card{Run: run, Kind: modelcard.Adapter, Base: "owner/base"}); err != nil {
			t.Fatal(err)
		}
		for _, says := range c.says {
			if !strings.Contains(b.String(), says) {
				t.Errorf("%s: the card lacks %q\n%s", name, says, b.String())
			}
		}
		var merged strings.Builder
		if err := modelcard.Write(&merged, modelcard.Card{Run: run, Kind: modelcard.Merged, Base: "owner/base"}); err != nil || strings.Contains(merged.String(), "The weights here are those of the base model as it is stored") != (len(c.says) > 0) {
			t.Errorf("%s: merged: %v\n%s", name, err, merged.String())
		}
		if said := strings.Contains(b.String(), "BitsAndBytesConfig"); said != (len(c.says) > 0) {
			t.Errorf("%s: it is said %t\n%s", name, said, b.String())
		}
	}
}
