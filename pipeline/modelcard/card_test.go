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
