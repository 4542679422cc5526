package spec_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// decode reads the smallest specification with keys set, each section.key=value.
func decode(t *testing.T, sets ...string) (events.Specification, structconf.Faults) {
	t.Helper()
	tree, faults := structconf.ParseTOML("f.toml", []byte(ids))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, set := range sets {
		if fault := tree.Set(set); fault != nil {
			t.Fatal(fault)
		}
	}
	return spec.Decode(tree)
}

// TestValuesThatNobodyKnows: a value that no engine could use is one fault, with its
// key, the value and what is allowed.
func TestValuesThatNobodyKnows(t *testing.T) {
	t.Parallel()
	for key, values := range map[string][]string{
		"fine_tuner.optimizer":                      {"nonsense", "adamw_torsh", "ADAMW_TORCH"},
		"fine_tuner.report_to":                      {"nowhere", "wandb,nowhere"},
		"fine_tuner.use_gradient_checkpointing":     {"sometimes"},
		"fine_tuner.lr_scheduler_type":              {"steep"},
		"fine_tuner.data_format":                    {"json"},
		"fine_tuner.train_on":                       {"first"},
		"fine_tuner.lora_dropout":                   {"1", "1.0", "-0.1", "nan", "inf"},
		"fine_tuner.lora_alpha":                     {"0", "-1", "nan", "inf"},
		"fine_tuner.learning_rate":                  {"0", "-0.001", "nan", "inf", "-inf"},
		"fine_tuner.weight_decay":                   {"-0.01", "1.5", "nan"},
		"fine_tuner.max_grad_norm":                  {"-1", "nan"},
		"fine_tuner.epochs":                         {"0", "-1", "1000001", "1.5", "9007199254740992"},
		"fine_tuner.rank":                           {"0", "-8", "65537"},
		"fine_tuner.warmup_steps":                   {"-1", "1000000001", "1.5", "nan"},
		"fine_tuner.warmup_ratio":                   {"1", "-0.1", "nan"},
		"fine_tuner.max_steps":                      {"-1", "1.5"},
		"fine_tuner.optim_args":                     {"momentum", "momentum=0.9,", "a=b=c"},
		"fine_tuner.adam_beta1":                     {"1", "-0.1", "nan"},
		"fine_tuner.adam_beta2":                     {"1", "-0.1", "inf"},
		"fine_tuner.adam_epsilon":                   {"-1e-8", "nan", "2"},
		"inferencer.repetition_penalty":             {"-1", "nan", "101", "0.009", "1e-300"},
		"fine_tuner.eval_steps":                     {"-1"},
		"fine_tuner.early_stopping_patience":        {"-1", "1"},
		"fine_tuner.load_best_model_at_end":         {"true", "perhaps"},
		"fine_tuner.method":                         {"rlhf", "DPO", "dpo"},
		"fine_tuner.dpo_beta":                       {"0", "-1", "inf"},
		"fine_tuner.devices":                        {"0", "1025", "2"},
		"fine_tuner.accelerator":                    {"zero1", "deepspeed"},
		"fine_tuner.rank_pattern.q_proj":            {"0", "1.5", "65537"},
		"fine_tuner.alpha_pattern.q_proj":           {"0", "-1"},
		"fine_tuner.seed":                           {"-1", "4294967296"},
		"fine_tuner.log_steps":                      {"0"},
		"fine_tuner.device_train_batch_size":        {"0", "1048577"},
		"fine_tuner.max_sequence_length":            {"0", "1", "16777217"},
		"inferencer.temperature":                    {"-0.1", "101", "nan", "inf"},
		"inferencer.top_p":                          {"-0.1", "1.1", "nan"},
		"inferencer.top_k":                          {"-1"},
		"inferencer.seed":                           {"-1"},
		"inferencer.max_new_tokens":                 {"0", "16777217"},
		"inferencer.batch_size":                     {"0"},
		"evaluator.metrics":                         {`["bleu"]`},
		"evaluator.cost_per_million_input_tokens":   {"-1", "nan"},
		"evaluator.gates.bleu_score":                {"inf", "-inf", "1.5", "-1", "50"},
		"mlflow.register_as":                        {"a/b", "a:b", "..", strings.Repeat("a", 251)},
		"fine_tuner.image_column":                   {"picture"},
		"fine_tuner.data_delimiter":                 {"||", "comma", "\""},
		"inferencer.data_delimiter":                 {"§"},
		"inferencer.image_column":                   {"picture"},
		"fine_tuner.target_modules":                 {"c_attn", "q_proj,c_attn", "q_proj,all-linear", "model.layers.0.self_attn.q_proj"},
		"inferencer.data_format":                    {"nonsense"},
		"pipeline.max_tries":                        {"0"},
		"fine_tuner.chat_template_kwargs.messages":  {"1"},
		"inferencer.chat_template_kwargs.not a nam": {"1"},
	} {
		for _, value := range values {
			_, faults := decode(t, key+"="+value)
			if len(faults) != 1 || faults[0].Key != key || faults[0].File != structconf.FromFlag || faults[0].Message == "" {
				t.Errorf("%s = %s: the faults are %q", key, value, faults)
			}
		}
	}
	for _, fine := range []string{
		"fine_tuner.optimizer=paged_adamw_8bit", "fine_tuner.optimizer=null", "fine_tuner.report_to=wandb, mlflow", "fine_tuner.lora_dropout=0.99",
		"fine_tuner.use_gradient_checkpointing=true", "fine_tuner.use_gradient_checkpointing=null", "fine_tuner.max_grad_norm=0", "fine_tuner.seed=4294967295",
		"inferencer.image_column=null", "fine_tuner.target_modules=all-linear", "fine_tuner.target_modules=q_proj,down_proj",
	} {
		if _, faults := decode(t, fine); len(faults) > 0 {
			t.Errorf("%s: %q", fine, faults)
		}
	}
	if _, faults := decode(t, "fine_tuner.optimizer=adamw_torsh"); !strings.Contains(faults.Error(), `did you mean "adamw_torch"?`) {
		t.Errorf("no suggestion: %s", faults)
	}
	for _, c := range []struct{ set, engine, says, not string }{
		{"fine_tuner.optimizer=lion", "builtin", "(allowed: adamw_torch, adamw, adamw_torch_fused, paged_adamw_32bit, adamw_8bit, adamw_bnb_8bit, paged_adamw_8bit, sgd, adafactor; the built-in engine", "galore"},
		{"fine_tuner.report_to=paper", "builtin", "(allowed: mlflow, none; the built-in engine has no others", "wandb"},
		{"fine_tuner.optimizer=lion", "trl", "galore_adamw", "the built-in engine"},
		{"fine_tuner.lora_dropout=1", "builtin", "(allowed: from 0 to less than 1)", "; "},
	} {
		_, faults := decode(t, c.set, "fine_tuner.engine="+c.engine)
		if text := faults.Error(); len(faults) != 1 || !strings.Contains(text, c.says) || strings.Contains(text, c.not) {
			t.Errorf("%s of %s: %s", c.set, c.engine, text)
		}
	}
	for _, elsewhere := range []string{"fine_tuner.engine=trl", "fine_tuner.full_finetuning=true", "pipeline.enable_finetuning=false"} {
		if _, faults := decode(t, "fine_tuner.target_modules=c_attn", elsewhere); len(faults) > 0 {
			t.Errorf("%s: no module of the built-in engine is meant: %q", elsewhere, faults)
		}
	}
	if _, faults := decode(t, "fine_tuner.image_column=x", "fine_tuner.engine=command", "pipeline.enable_inference=false"); len(faults) > 0 {
		t.Errorf("an engine that sees: %q", faults)
	}
	if _, faults := decode(t, "fine_tuner.image_column=x", "pipeline.enable_finetuning=false"); len(faults) > 0 {
		t.Errorf("a phase that the run does not do: %q", faults)
	}
}

// TestKeysWithoutEffect: a key that another one makes void is named with that one,
// and nothing is named without it.
func TestKeysWithoutEffect(t *testing.T) {
	t.Parallel()
	for key, because := range map[string]string{
		"fine_tuner.warmup_steps=7":                         "fine_tuner.lr_scheduler_type=constant",
		"fine_tuner.warmup_steps=8":                         "fine_tuner.warmup_ratio=0.1",
		"fine_tuner.warmup_ratio=0.1":                       "fine_tuner.lr_scheduler_type=constant",
		"fine_tuner.use_dora=true":                          "fine_tuner.full_finetuning=true",
		"fine_tuner.rank_pattern.x=1":                       "fine_tuner.full_finetuning=true",
		"fine_tuner.eval_steps=7":                           "",
		"fine_tuner.optim_args=momentum=0.9":                "",
		"fine_tuner.adam_beta1=0.5":                         "fine_tuner.optimizer=sgd",
		"fine_tuner.adam_beta2=0.5":                         "fine_tuner.optimizer=adafactor",
		"fine_tuner.adam_epsilon=0.5":                       "fine_tuner.optimizer=sgd",
		"fine_tuner.dpo_beta=0.5":                           "",
		"fine_tuner.accelerator=ddp":                        "",
		"fine_tuner.rank=8":                                 "fine_tuner.full_finetuning=true",
		"fine_tuner.lora_alpha=32":                          "fine_tuner.full_finetuning=true",
		"fine_tuner.lora_dropout=0.1":                       "fine_tuner.full_finetuning=true",
		"fine_tuner.target_modules=q_proj":                  "fine_tuner.full_finetuning=true",
		"fine_tuner.use_rslora=true":                        "fine_tuner.full_finetuning=true",
		"fine_tuner.save_total_limit=7":                     "fine_tuner.save_steps=0",
		"fine_tuner.train_on=last":                          "fine_tuner.train_on_responses_only=false",
		"fine_tuner.answer_part=[A]":                        "fine_tuner.train_on_responses_only=false",
		"fine_tuner.question_part=[Q]":                      "fine_tuner.train_on_responses_only=false",
		"fine_tuner.question_column=q":                      "fine_tuner.data_format=messages",
		"fine_tuner.ground_truth_column=a":                  "fine_tuner.data_format=alpaca",
		"fine_tuner.chat_template_kwargs.x=1":               "fine_tuner.data_format=text",
		"fine_tuner.system_prompt_column=s":                 "fine_tuner.system_prompt_override_text=Be brief.",
		"inferencer.system_prompt_column=s":                 "inferencer.system_prompt_override_text=Be brief.",
		"inferencer.top_k=7":                                "inferencer.temperature=0",
		"inferencer.top_p=0.5":                              "inferencer.temperature=0.0",
		"inferencer.min_p=0.5":                              "inferencer.temperature=0",
		"inferencer.seed=7":                                 "inferencer.temperature=0",
		"inferencer.ground_truth_column=a":                  "inferencer.data_format=conversations",
		"fine_tuner.hub_model_id=me/boats":                  "",
		"fine_tuner.push_always=true":                       "",
		"inferencer.baseline=true":                          "pipeline.enable_finetuning=false",
		"mlflow.register_as=boats":                          "pipeline.enable_finetuning=false",
		"fine_tuner.finetune_vision_layers=true":            "fine_tuner.engine=trl",
		"fine_tuner.log_first_step=false":                   "",
		"fine_tuner.device_validation_batch_size=8":         "",
		"fine_tuner.wandb_project_name=boats":               "",
		"evaluator.gate_coverage=0.5":                       "",
		"evaluator.answer_column=reply":                     "",
		"evaluator.llm=gpt-5":                               "",
		"evaluator.embedding=e5":                            "",
		"evaluator.judge_base_url=http://localhost:1234/v1": "",
	} {
		name, _, _ := strings.Cut(key, "=")
		name = strings.TrimSuffix(name, ".x") // an entry of a table
		sets := []string{key}
		if because != "" {
			sets = append(sets, because)
		}
		s, faults := decode(t, sets...)
		if len(faults) > 0 {
			t.Errorf("%s: %s", key, faults)
			continue
		}
		cause, _, _ := strings.Cut(because, "=")
		if strings.HasSuffix(cause, ".engine") {
			cause = "fine_tuner.is_multimodel"
		}
		notes := spec.Notes(s)
		if len(notes) != 1 || notes[0].Key != name || !strings.Contains(notes[0].Message, "has no effect, because ") || !strings.Contains(notes[0].Message, cause) {
			t.Errorf("%s with %s: the notes are %q", key, because, notes)
		}
		if because == "" {
			continue
		}
		if s, _ := decode(t, because); len(spec.Notes(s)) > 0 {
			t.Errorf("%s alone: %q", because, spec.Notes(s))
		}
		if s, _ := decode(t, key, "fine_tuner.engine=trl", "fine_tuner.is_multimodel=true", "inferencer.engine=openai"); len(spec.Notes(s)) > 0 {
			t.Errorf("%s alone: %q", key, spec.Notes(s))
		}
	}
	if s, _ := decode(t, "fine_tuner.warmup_steps=7", "fine_tuner.lr_scheduler_type=constant", "pipeline.enable_finetuning=false"); len(spec.Notes(s)) > 0 {
		t.Errorf("notes on a phase that the run does not do: %q", spec.Notes(s))
	}
}

// TestSupports: each engine that a specification may name is in the table, and the
// comment of a key says which engines do not honour it.
func TestSupports(t *testing.T) {
	t.Parallel()
	for _, k := range spec.Keys() {
		var engines []string
		for _, s := range spec.Supports(k.Section, k.Name) {
			engines = append(engines, s.Engine)
		}
		for _, other := range spec.Keys() {
			if other.Section == k.Section && other.Name == "engine" && fmt.Sprint(other.Allowed) != fmt.Sprint(engines) {
				t.Errorf("%s.%s: engines %q, want %q", k.Section, k.Name, engines, other.Allowed)
			}
		}
	}
	for key, want := range map[string]string{
		"fine_tuner.use_flash_attention": "only trl, unsloth, command", "fine_tuner.rank": "", "fine_tuner.dtype": "builtin: only null or float32, unless full_finetuning = true",
		"inferencer.dtype": "builtin: only null or float32; not openai", "inferencer.hf_user_id": "", "mlflow.run_name": "",
	} {
		for _, k := range spec.Keys() {
			if k.Section+"."+k.Name == key && spec.Remark(k) != want {
				t.Errorf("%s: %q, want %q", key, spec.Remark(k), want)
			}
		}
	}
}

// TestDefaultsShareNothing: who changes the defaults changes those of nobody else.
func TestDefaultsShareNothing(t *testing.T) {
	t.Parallel()
	want := fmt.Sprintf("%+v", spec.Defaults())
	changed := spec.Defaults()
	changed.FineTuner.TargetModules[0], changed.Evaluator.Metrics[0] = "x", "x"
	if got := fmt.Sprintf("%+v", spec.Defaults()); got != want {
		t.Errorf("the defaults are\n%s\nwant\n%s", got, want)
	}
	if changed.Evaluator.Gates != nil {
		t.Error("a table of the defaults has to be copied, too")
	}
}
