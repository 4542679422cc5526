package modelcard_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/modelcard"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/spec/used"
)

// TestTraining: the table of the card has what was used, and not what was asked for where
// that had no effect.
func TestTraining(t *testing.T) {
	t.Parallel()
	const config = `{"base_model_name_or_path": "owner/base", "r": 32, "lora_alpha": 4, "lora_dropout": 0, "target_modules": ["q_proj"], "use_dora": true, "modules_to_save": ["lm_head"]}`
	for name, c := range map[string]struct {
		change      func(f *events.FineTuner)
		kind        modelcard.Kind
		config      string
		statistics  map[string]float64
		used        map[string]string
		note        string
		says, never []string
	}{
		"an adapter as the base": {
			change: func(f *events.FineTuner) {
				f.BaseModelID, f.Rank, f.LoRAAlpha, f.UseRSLoRA = "/home/ada/first", 8, 64, true
			},
			config: config,
			says: []string{"The training began at the adapter `first`, which decided its rank", "| rank | 32 |", "| lora_alpha | 4 |", "| target_modules | q_proj |", "| use_dora | true |",
				"| modules_to_save | lm_head |", "--max-lora-rank 32"},
			never: []string{"/home/ada", "| rank | 8 |", "use_rslora"},
		},
		"a base model": {
			change: func(f *events.FineTuner) { f.BaseModelID, f.Rank = "owner/base", 32 }, config: config,
			says: []string{"| rank | 32 |", "| epochs | 3 |", "| optimizer | adamw_torch |", "| lr_scheduler_type | linear |", "| warmup_steps | 5 |"}, never: []string{"began at", "max_steps", "load_in", "steps of", "| method"},
		},
		"a number of steps": {
			change: func(f *events.FineTuner) { f.MaxSteps, f.Epochs, f.LRSchedulerType = 7, 9, "constant" }, statistics: map[string]float64{"total_training_steps": 7},
			says: []string{"| max_steps | 7 |", "| steps | 7 |"}, never: []string{"epochs", "warmup"},
		},
		"ended early": {
			change:     func(f *events.FineTuner) { f.LoadBestModelAtEnd = true },
			statistics: map[string]float64{"total_training_steps": 40, "planned_training_steps": 100, "best_step": 30},
			says:       []string{"| steps | 40 of 100: the training ended early |", "| step of the model | 30, with the lowest eval_loss |"},
		},
		"ended early, with the last weights": {
			change:     func(*events.FineTuner) {},
			statistics: map[string]float64{"total_training_steps": 40, "planned_training_steps": 100, "best_step": 30},
			says:       []string{"| step of the lowest eval_loss | 30; the model is that of the last step |"},
		},
		"another optimizer": {
			change: func(f *events.FineTuner) { f.Optimizer = "lion_8bit" }, says: []string{"| optimizer | adamw_torch |"}, never: []string{"lion"},
		},
		"8 bits of 4": {
			change: func(f *events.FineTuner) { f.LoadIn8bit = true }, used: map[string]string{"fine_tuner.load_in_8bit": "false"}, says: []string{"| load_in_4bit | true |"}, never: []string{"8bit"},
		},
		"4 bits": {change: func(f *events.FineTuner) { f.LoadIn4bit = true }, says: []string{"| load_in_4bit | true |"}},
		"a key that the trainer does not have": {
			change: func(f *events.FineTuner) { f.Engine, f.Packing, f.Optimizer = "command", true, "sgd" }, note: used.NotHonouredBy("mine", "fine_tuner.packing", "true"),
			says: []string{"| optimizer | sgd |"}, never: []string{"packing"},
		},
		"all weights": {
			change: func(f *events.FineTuner) { f.FullFinetuning, f.LoadIn4bit, f.UseDoRA = true, true, true }, kind: modelcard.Full,
			says: []string{"| optimizer | adamw_torch |"}, never: []string{"load_in", "use_dora", "| rank"},
		},
	} {
		s := spec.Defaults()
		c.change(&s.FineTuner)
		run := events.Run{
			ID: "r", Accepted: &events.PipelineAccepted{RunID: "r", Specification: s},
			Phases: map[events.Phase]*events.PhaseState{events.Finetune: {Completed: &events.PhaseCompleted{Statistics: c.statistics, Used: c.used, Notes: []string{c.note}}}},
		}
		kind := modelcard.Adapter
		if c.kind != "" {
			kind = c.kind
		}
		var b strings.Builder
		if err := modelcard.Write(&b, modelcard.Card{Run: run, Kind: kind, Base: "owner/base", AdapterConfig: []byte(c.config)}); err != nil {
			t.Fatal(err)
		}
		for _, says := range c.says {
			if !strings.Contains(b.String(), says) {
				t.Errorf("%s: the card lacks %q\n%s", name, says, b.String())
			}
		}
		for _, never := range c.never {
			if strings.Contains(b.String(), never) {
				t.Errorf("%s: the card has %q\n%s", name, never, b.String())
			}
		}
	}
}
