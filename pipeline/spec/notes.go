package spec

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec/optimizerargs"
	"github.com/tunebus/tunebus/pipeline/spec/pythontrainer"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Notes returns a note for each key that a specification sets and that has no effect
// or not the whole effect: the engine of a phase of the plan does not honour it, or
// another key makes it void. The order is that of the keys.
func Notes(s events.Specification) structconf.Faults {
	var out structconf.Faults
	for _, step := range Plan(s) {
		out = append(out, EngineNotes(s, step.Phase, engineOf(s, step.Phase))...)
	}
	set := changedKeys(s)
	for _, v := range voidKeys(s, set) {
		if section, _, _ := strings.Cut(v.key, "."); section == "mlflow" || section == "pipeline" {
			out = append(out, v.note(set))
		}
	}
	return out
}

// EngineNotes returns the notes about the section of a phase. They are those of the
// engine that does its work.
func EngineNotes(s events.Specification, p events.Phase, engine string) structconf.Faults {
	var out structconf.Faults
	void := map[string]bool{}
	set := changedKeys(s)
	for _, v := range voidKeys(s, set) {
		if section, _, _ := strings.Cut(v.key, "."); section == Section(p) {
			void[v.key] = true
			out = append(out, v.note(set))
		}
	}
	for _, a := range unsupported(s, set, p, engine) {
		if !void[a.key] && !a.refused {
			out = append(out, structconf.Fault{Key: a.key, Value: Quote(a.key, a.value), Message: a.instead})
		}
	}
	order := map[string]int{}
	for i, k := range Keys() {
		order[k.Section+"."+k.Name] = i
	}
	slices.SortStableFunc(out, func(a, b structconf.Fault) int { return cmp.Compare(order[a.Key], order[b.Key]) })
	return out
}

// engineOf returns the engine of a phase. An event of an earlier version may name
// none.
func engineOf(s events.Specification, p events.Phase) string {
	engine := map[events.Phase]string{events.Finetune: s.FineTuner.Engine, events.Inference: s.Inferencer.Engine, events.Evaluation: s.Evaluator.Engine}[p]
	return cmp.Or(engine, Builtin)
}

// voidKey is a key that a specification sets and that another key makes void.
type voidKey struct {
	key, because string
}

func (v voidKey) note(set map[string]string) structconf.Fault {
	return structconf.Fault{Key: v.key, Value: Quote(v.key, set[v.key]), Message: "has no effect, because " + v.because}
}

// voidKeys returns the keys of a specification that other keys make void. set are
// its changed keys.
func voidKeys(s events.Specification, set map[string]string) []voidKey {
	var out []voidKey
	void := func(holds bool, because string, keys ...string) {
		for _, key := range keys {
			if _, isSet := set[key]; isSet && holds {
				out = append(out, voidKey{key, because})
			}
		}
	}
	f, i, e, p := s.FineTuner, s.Inferencer, s.Evaluator, s.Pipeline
	void(f.FullFinetuning, "fine_tuner.full_finetuning = true, which trains no adapter",
		"fine_tuner.rank", "fine_tuner.lora_alpha", "fine_tuner.lora_dropout", "fine_tuner.target_modules", "fine_tuner.bias",
		"fine_tuner.use_rslora", "fine_tuner.loftq_config", "fine_tuner.load_in_4bit", "fine_tuner.load_in_8bit",
		"fine_tuner.use_dora", "fine_tuner.modules_to_save", "fine_tuner.rank_pattern", "fine_tuner.alpha_pattern")
	void(f.LRSchedulerType == "constant" && (f.WarmupSteps > 0 || f.WarmupRatio > 0), `fine_tuner.lr_scheduler_type = "constant" has no warm-up; "constant_with_warmup" has one`,
		"fine_tuner.warmup_steps", "fine_tuner.warmup_ratio")
	void(f.WarmupRatio > 0 && f.LRSchedulerType != "constant", "fine_tuner.warmup_ratio says how long it takes", "fine_tuner.warmup_steps")
	of := "fine_tuner.optimizer = " + strconv.Quote(cmp.Or(f.Optimizer, "adamw_torch"))
	void(len(optimizerargs.Reads(f.Optimizer)) == 0, of+" reads none of it", "fine_tuner.optim_args")
	void(!optimizerargs.ReadsBetas(cmp.Or(f.Optimizer, "adamw_torch")), of+" does not read it", "fine_tuner.adam_beta1", "fine_tuner.adam_beta2")
	void(!optimizerargs.ReadsEpsilon(cmp.Or(f.Optimizer, "adamw_torch")), of+" does not read it", "fine_tuner.adam_epsilon")
	void(f.MaxSteps > 0, "fine_tuner.max_steps says when the training ends", "fine_tuner.epochs")
	void(f.Method != dpo, `fine_tuner.method is not "dpo"`, "fine_tuner.dpo_beta")
	void(f.Devices <= 1, "fine_tuner.devices = 1, and one process shares nothing", "fine_tuner.accelerator")
	void(f.ValidationDataID == "", "fine_tuner.validation_data_id names no data", "fine_tuner.device_validation_batch_size", "fine_tuner.eval_steps")
	void(f.SaveSteps == 0, "fine_tuner.save_steps = 0, which saves no checkpoint", "fine_tuner.save_total_limit")
	void(!f.TrainOnResponsesOnly && f.Method != dpo, "fine_tuner.train_on_responses_only = false, with which every token counts",
		"fine_tuner.train_on", "fine_tuner.question_part", "fine_tuner.answer_part")
	void(f.LogSteps == 1, "fine_tuner.log_steps = 1, which logs every step", "fine_tuner.log_first_step")
	void(!pythontrainer.ReportsTo(f.ReportTo, "wandb"), "fine_tuner.report_to does not name wandb", "fine_tuner.wandb_project_name")
	void(!f.PushToHub, "fine_tuner.push_to_hub = false", "fine_tuner.hub_model_id")
	void(!f.PushToHub && i.HFUserID == "" && e.HFUserID == "", "fine_tuner.push_to_hub = false, and no hf_user_id names an account to push to", "fine_tuner.push_always")
	void(f.SystemPromptOverrideText != "", "fine_tuner.system_prompt_override_text wins over the column", "fine_tuner.system_prompt_column")
	void(f.Method == dpo, `fine_tuner.method = "dpo" learns from the chosen and the rejected answer of each row alone`,
		"fine_tuner.packing", "fine_tuner.train_on", "fine_tuner.train_on_responses_only", "fine_tuner.question_part", "fine_tuner.answer_part",
		"fine_tuner.ground_truth_column")
	void(namesNoColumns(f.DataFormat) && f.Method != dpo, "fine_tuner.data_format = "+strconv.Quote(f.DataFormat)+" has columns of its own",
		"fine_tuner.question_column", "fine_tuner.ground_truth_column")
	void(f.Engine == trl && !f.IsMultimodel, "fine_tuner.is_multimodel = false",
		"fine_tuner.finetune_vision_layers", "fine_tuner.finetune_language_layers", "fine_tuner.finetune_attention_modules", "fine_tuner.finetune_mlp_modules")
	void(f.DataFormat == "text", `fine_tuner.data_format = "text" has no conversations`,
		"fine_tuner.system_prompt_column", "fine_tuner.system_prompt_override_text", "fine_tuner.train_on", "fine_tuner.chat_template_kwargs")

	void(i.Temperature == 0, "inferencer.temperature = 0, which always takes the likeliest token",
		"inferencer.top_k", "inferencer.top_p", "inferencer.min_p", "inferencer.seed")
	void(!p.EnableFinetuning, "pipeline.enable_finetuning = false, and so the model that answers is not compared with another one", "inferencer.baseline")
	void(i.SystemPromptOverrideText != "", "inferencer.system_prompt_override_text wins over the column", "inferencer.system_prompt_column")
	void(namesNoColumns(i.DataFormat), "inferencer.data_format = "+strconv.Quote(i.DataFormat)+" has columns of its own",
		"inferencer.question_column", "inferencer.ground_truth_column")

	asksLLM := slices.ContainsFunc(e.Metrics, func(m string) bool { return slices.Contains(llmMetrics(), m) })
	embeds := slices.ContainsFunc(e.Metrics, func(m string) bool { return slices.Contains(embeddingMetrics(), m) })
	void(!asksLLM, "no metric of evaluator.metrics asks a language model", "evaluator.llm")
	void(!embeds, "no metric of evaluator.metrics embeds texts", "evaluator.embedding")
	void(!asksLLM && !embeds, "no metric of evaluator.metrics has a judge",
		"evaluator.judge_base_url", "evaluator.cost_per_million_input_tokens", "evaluator.cost_per_million_output_tokens")

	void(len(e.Gates) == 0, "evaluator.gates names no gate", "evaluator.gate_coverage")
	void(p.EnableInference, "pipeline.enable_inference = true, whose answers need no column", "evaluator.answer_column")

	void(!p.EnableFinetuning, "pipeline.enable_finetuning = false", "mlflow.register_as", "pipeline.on_finetuning_failure")
	void(p.StopAfterFinetuning, "pipeline.stop_after_finetuning = true", "pipeline.stop_after_inference")
	return out
}

// namesNoColumns reports whether a shape of data has columns of its own, so that the
// keys for the question's and the answer's column are not read.
func namesNoColumns(format string) bool {
	return format != "" && format != "auto" && format != "question_answer"
}

// Quote returns a value for people: texts in quotes.
func Quote(key, value string) string {
	for _, k := range Keys() {
		if k.Section+"."+k.Name == key && k.Type == "text" && value != "true" && value != "false" {
			return strconv.Quote(value)
		}
	}
	return value
}
