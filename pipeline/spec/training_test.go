package spec_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestWarmupAsShare: a share as warmup_steps travels as warmup_ratio, wherever it
// comes from, and steps that are said later take it back.
func TestWarmupAsShare(t *testing.T) {
	t.Parallel()
	for _, given := range []struct {
		sets  []string
		steps int
		ratio float64
	}{
		{nil, 5, 0},
		{[]string{"fine_tuner.warmup_steps=0.1"}, 5, 0.1},
		{[]string{"fine_tuner.warmup_steps=0"}, 0, 0},
		{[]string{"fine_tuner.warmup_steps=0.0"}, 0, 0},
		{[]string{"fine_tuner.warmup_steps=1"}, 1, 0},
		{[]string{`fine_tuner.warmup_steps="0.25"`}, 5, 0.25},
		{[]string{"fine_tuner.warmup_ratio=0.2"}, 5, 0.2},
		{[]string{"fine_tuner.warmup_ratio=0.2", "fine_tuner.warmup_steps=0.2"}, 5, 0.2},
		{[]string{"fine_tuner.warmup_ratio=0.2", "fine_tuner.warmup_steps=9"}, 9, 0.2},
	} {
		s, faults := decode(t, given.sets...)
		if len(faults) > 0 || s.FineTuner.WarmupSteps != given.steps || s.FineTuner.WarmupRatio != given.ratio {
			t.Errorf("%q: %d steps, ratio %g, %v", given.sets, s.FineTuner.WarmupSteps, s.FineTuner.WarmupRatio, faults)
		}
	}
	base, _ := decode(t, "fine_tuner.warmup_steps=0.1")
	for raw, want := range map[string][2]float64{
		`{"fine_tuner": {"warmup_steps": 7}}`:   {7, 0},
		`{"fine_tuner": {"warmup_steps": 0.3}}`: {5, 0.3},
		`{"fine_tuner": {"epochs": 1}}`:         {5, 0.1},
	} {
		s, faults := spec.Over(base, []byte(raw))
		if got := [2]float64{float64(s.FineTuner.WarmupSteps), s.FineTuner.WarmupRatio}; len(faults) > 0 || got != want {
			t.Errorf("%s: %v, want %v; %v", raw, got, want, faults)
		}
	}
	if _, faults := decode(t, "fine_tuner.warmup_steps=1.5"); len(faults) != 1 || !strings.Contains(faults.Error(), "neither a number of steps nor a share of them (allowed: a whole number, or a share below 1)") {
		t.Errorf("1.5 steps: %q", faults)
	}
	_, faults := decode(t, "fine_tuner.warmup_ratio=0.2", "fine_tuner.warmup_steps=0.1")
	if len(faults) != 1 || faults[0].Key != "fine_tuner.warmup_steps" || faults[0].File != structconf.FromFlag ||
		!strings.Contains(faults[0].Message, "is a share, and fine_tuner.warmup_ratio says another one") {
		t.Errorf("two shares: %q", faults)
	}
}

// TestPositionsOfFaults: a share moves no other key, and a fault of an entry has the place
// of its table.
func TestPositionsOfFaults(t *testing.T) {
	t.Parallel()
	tree, _ := structconf.ParseTOML("f.toml", []byte("[fine_tuner]\nwarmup_steps = 0.1\nepochs = 0\nrank_pattern = { \"layers.0\" = 0 }\n"))
	_, faults := spec.Decode(tree)
	var lines []string
	for _, f := range faults {
		if f.Line > 0 {
			lines = append(lines, f.String())
		}
	}
	want := []string{"f.toml:3:1: fine_tuner.epochs = 0: ", "f.toml:4:1: fine_tuner.rank_pattern.layers.0 = 0: out of range"}
	if len(lines) != len(want) || !strings.HasPrefix(lines[0], want[0]) || !strings.HasPrefix(lines[1], want[1]) {
		t.Errorf("%q", lines)
	}
}

// TestKeysOfTrainings: what an engine beside the built-in one trains with, what a
// training without validation data cannot have, and what a schedule needs.
func TestKeysOfTrainings(t *testing.T) {
	t.Parallel()
	const engine = "fine_tuner.engine=trl"
	for _, fine := range []string{"fine_tuner.method=dpo", "fine_tuner.devices=2", "fine_tuner.lr_scheduler_type=greedy"} {
		if s, faults := decode(t, engine, fine); len(faults) > 0 || len(spec.Notes(s)) > 0 {
			t.Errorf("%s: %q, %q", fine, faults, spec.Notes(s))
		}
		if _, faults := decode(t, fine); len(faults) != 1 || !strings.Contains(faults.Error(), `fine_tuner.engine = "trl" has it`) {
			t.Errorf("%s for the built-in engine: %q", fine, faults)
		}
	}
	for _, sets := range [][]string{{"fine_tuner.method=dpo", "fine_tuner.data_format=messages"}, {"fine_tuner.data_format=preference"}} {
		if _, faults := decode(t, append(sets, engine)...); len(faults) != 1 || faults[0].Key != "fine_tuner.data_format" {
			t.Errorf("%s: %q", sets, faults)
		}
	}
	if _, faults := decode(t, engine, "fine_tuner.method=dpo", "fine_tuner.data_format=preference"); len(faults) > 0 {
		t.Errorf("preference: %q", faults)
	}
	if s, _ := decode(t, engine, "fine_tuner.method=dpo", "fine_tuner.packing=true"); len(spec.Notes(s)) != 1 {
		t.Errorf("packing of pairs: %q", spec.Notes(s))
	}
	for _, both := range []string{
		"fine_tuner.max_steps=7", "fine_tuner.lr_scheduler_type=polynomial", "fine_tuner.use_dora=true", "fine_tuner.modules_to_save=lm_head", "fine_tuner.bias=all",
		"fine_tuner.rank_pattern.q_proj=4", "fine_tuner.alpha_pattern.q_proj=0.5", "fine_tuner.lr_scheduler_kwargs.power=2", "fine_tuner.packing=true",
		"fine_tuner.optimizer=adafactor", "fine_tuner.optimizer=adamw_8bit", "fine_tuner.optimizer=sgd",
	} {
		for _, of := range []string{engine, "fine_tuner.engine=builtin"} {
			if s, faults := decode(t, of, both); len(faults) > 0 || len(spec.Notes(s)) > 0 {
				t.Errorf("%s of %s: %q, %q", both, of, faults, spec.Notes(s))
			}
		}
	}
	for _, wrong := range []string{
		"fine_tuner.early_stopping_patience=2", "fine_tuner.load_best_model_at_end=true", "fine_tuner.lr_scheduler_type=reduce_lr_on_plateau",
	} {
		key, _, _ := strings.Cut(wrong, "=")
		if _, faults := decode(t, engine, wrong); len(faults) != 1 || faults[0].Key != key || !strings.Contains(faults[0].Message, "fine_tuner.validation_data_id") {
			t.Errorf("%s: %q", wrong, faults)
		}
		if _, faults := decode(t, engine, wrong, "fine_tuner.validation_data_id=a/v"); len(faults) > 0 {
			t.Errorf("%s with validation data: %q", wrong, faults)
		}
	}
	for scheduler, argument := range map[string]string{"cosine_with_min_lr": "min_lr_rate", "cosine_warmup_with_min_lr": "min_lr", "warmup_stable_decay": "num_decay_steps"} {
		sets := []string{engine, "fine_tuner.lr_scheduler_type=" + scheduler}
		if _, faults := decode(t, sets...); len(faults) != 1 || !strings.Contains(faults[0].Message, argument) {
			t.Errorf("%s: %q", scheduler, faults)
		}
		for _, of := range []string{engine, "fine_tuner.engine=builtin"} {
			if s, faults := decode(t, of, sets[1], "fine_tuner.lr_scheduler_kwargs."+argument+"=1"); len(faults) > 0 || len(spec.Notes(s)) > 0 {
				t.Errorf("%s with %s: %q", scheduler, argument, faults)
			}
		}
	}
}

// TestPythonTrainers: what the engines trl and unsloth refuse on every machine is a fault
// before a run is accepted.
func TestPythonTrainers(t *testing.T) {
	t.Parallel()
	sees := []string{"fine_tuner.is_multimodel=true", "fine_tuner.finetune_language_layers=true", "fine_tuner.finetune_mlp_modules=true"}
	for _, c := range []struct {
		engine string
		sets   []string
		faulty string // keys
	}{
		{"trl", nil, ""},
		{"trl", []string{"fine_tuner.loftq_config=4"}, ""},
		{"trl", []string{`fine_tuner.loftq_config={"loftq_bits": 8, "loftq_iter": 2}`}, ""},
		{"trl", []string{"fine_tuner.loftq_config=5"}, "loftq_config"},
		{"trl", []string{"fine_tuner.loftq_config=yes"}, "loftq_config"},
		{"trl", []string{`fine_tuner.loftq_config={"loftq_iter": 0.5}`}, "loftq_config"},
		{"trl", []string{`fine_tuner.loftq_config={"bits": 4}`}, "loftq_config"},
		{"unsloth", []string{"fine_tuner.loftq_config=4", "fine_tuner.load_in_4bit=true"}, "loftq_config"},
		{"command", []string{"fine_tuner.loftq_config=5", "fine_tuner.method=dpo"}, ""},
		{"trl", []string{"fine_tuner.method=dpo"}, ""},
		{"unsloth", []string{"fine_tuner.method=dpo"}, "method"},
		{"trl", []string{"fine_tuner.full_finetuning=true", "fine_tuner.load_in_8bit=true"}, "full_finetuning"},
		{"trl", []string{`fine_tuner.target_modules=["q_proj", "lm_head"]`}, "target_modules"},
		{"trl", sees, ""},
		{"trl", sees[:1], "finetune_language_layers finetune_attention_modules"},
		{"trl", append([]string{"fine_tuner.method=dpo", "fine_tuner.packing=true"}, sees...), "method packing"},
		{"unsloth", append([]string{"fine_tuner.method=dpo"}, sees...), "method"},
		{"trl", []string{"fine_tuner.image_column=picture"}, "is_multimodel"},
		{"unsloth", append([]string{"fine_tuner.image_column=picture"}, sees...), ""},
		{"trl", []string{"pipeline.enable_finetuning=false", "fine_tuner.loftq_config=5"}, ""},
	} {
		_, faults := decode(t, append([]string{"fine_tuner.engine=" + c.engine, "inferencer.engine=transformers"}, c.sets...)...)
		var got []string
		for _, f := range faults {
			got = append(got, strings.TrimPrefix(f.Key, "fine_tuner."))
		}
		if strings.Join(got, " ") != c.faulty {
			t.Errorf("%s, %q: faults %v, want of %q", c.engine, c.sets, faults, c.faulty)
		}
	}
}

// TestUnreadByBuiltin: a model that the built-in engine cannot read is a fault before its
// training starts where that engine is to answer with it.
func TestUnreadByBuiltin(t *testing.T) {
	t.Parallel()
	sets := []string{"fine_tuner.engine=trl", "fine_tuner.is_multimodel=true", "fine_tuner.finetune_language_layers=true", "fine_tuner.finetune_mlp_modules=true"}
	_, faults := decode(t, sets...)
	want := `cannot read the model that fine_tuner.is_multimodel makes; set inferencer.engine = "transformers"`
	if len(faults) != 1 || faults[0].Key != "inferencer.engine" || faults[0].Message != want {
		t.Errorf("%v", faults)
	}
	for _, reads := range []string{"inferencer.engine=transformers", "pipeline.stop_after_finetuning=true", "pipeline.enable_inference=false"} {
		if _, faults := decode(t, append(sets, reads)...); len(faults) > 0 {
			t.Errorf("%s: %v", reads, faults)
		}
	}
	// The adapters of these it reads.
	for _, key := range []string{"use_dora=true", "modules_to_save=lm_head", "rank_pattern.q_proj=4", "alpha_pattern.q_proj=4", "bias=all"} {
		if _, faults := decode(t, "fine_tuner.engine=trl", "fine_tuner."+key); len(faults) > 0 {
			t.Errorf("%s: %v", key, faults)
		}
	}
}

// TestOptimizerArguments: an argument that an optimizer does not read is a fault that
// names those that it does.
func TestOptimizerArguments(t *testing.T) {
	t.Parallel()
	sgd := "fine_tuner.optimizer=sgd"
	if s, faults := decode(t, sgd, "fine_tuner.optim_args=momentum=0.9, nesterov=true"); len(faults) > 0 || len(spec.Notes(s)) > 0 || s.FineTuner.OptimArgs == "" {
		t.Errorf("%q, %q", faults, spec.Notes(s))
	}
	for args, want := range map[string]string{
		"speed=3":       `"speed" is no argument of sgd`,
		"momentum=fast": "momentum = fast; want a number, at least 0",
		"nesterov=true": "nesterov needs a momentum",
	} {
		_, faults := decode(t, sgd, "fine_tuner.optim_args="+args)
		if len(faults) != 1 || !strings.Contains(faults[0].Message, want) || !strings.Contains(faults[0].Allowed, "dampening, momentum, nesterov") {
			t.Errorf("%s: %q", args, faults)
		}
	}
}
