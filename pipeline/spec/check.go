package spec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubname"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/spec/builtinreads"
	"github.com/tunebus/tunebus/pipeline/spec/optimizerargs"
	"github.com/tunebus/tunebus/pipeline/spec/pythontrainer"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// maxFaults is the largest number of faults in one list of a specification. A
// list may come from outside, and has a fault of its size anyway.
const maxFaults = 10_000

// The largest values of whole numbers. They are far above what anybody needs, and
// small enough that products of them do not overflow.
const (
	maxTokens = 1 << 24
	maxRank   = 1 << 16
	maxBatch  = 1 << 20
	maxEpochs = 1_000_000
	maxSteps  = 1_000_000_000
)

// check returns the faults of values that have the right type.
func check(s events.Specification) structconf.Faults {
	var c checker
	f, i, e, p := s.FineTuner, s.Inferencer, s.Evaluator, s.Pipeline
	finetunes := p.EnableFinetuning
	infers := p.EnableInference && !p.StopAfterFinetuning
	evaluates := p.EnableEvaluation && !p.StopAfterFinetuning && !p.StopAfterInference
	c.between("fine_tuner.max_sequence_length", f.MaxSequenceLength, 2, maxTokens) // one to learn, and one before it
	c.between("fine_tuner.rank", f.Rank, 1, maxRank)
	c.belowOne("fine_tuner.lora_dropout", f.LoRADropout)
	c.positive("fine_tuner.lora_alpha", f.LoRAAlpha)
	c.between("fine_tuner.device_train_batch_size", f.DeviceTrainBatchSize, 1, maxBatch)
	c.between("fine_tuner.device_validation_batch_size", f.DeviceValidationBatchSize, 1, maxBatch)
	c.between("fine_tuner.grad_accumulation", f.GradAccumulation, 1, maxBatch)
	c.between("fine_tuner.epochs", f.Epochs, 1, maxEpochs)
	c.positive("fine_tuner.learning_rate", f.LearningRate)
	c.between("fine_tuner.warmup_steps", f.WarmupSteps, 0, maxSteps)
	checkTraining(&c, f)
	if finetunes {
		checkValidations(&c, f)
		c.faults = append(c.faults, pythontrainer.Faults(f, engineOf(s, events.Finetune))...)
		if infers && engineOf(s, events.Finetune) != Builtin && engineOf(s, events.Inference) == Builtin {
			c.faults = append(c.faults, builtinreads.Faults(f)...)
		}
		checkScheduler(&c, f)
	}
	c.between("fine_tuner.save_steps", f.SaveSteps, 0, maxSteps)
	c.between("fine_tuner.save_total_limit", f.SaveTotalLimit, 0, maxSteps)
	c.between("fine_tuner.log_steps", f.LogSteps, 1, maxSteps)
	c.between("fine_tuner.seed", f.Seed, 0, math.MaxUint32)
	c.upTo("fine_tuner.weight_decay", f.WeightDecay, 1)
	c.upTo("fine_tuner.max_grad_norm", f.MaxGradNorm, 1e9)
	c.oneOf("fine_tuner.optimizer", f.Optimizer, optimizerargs.Optimizers(), honoured("optimizer", engineOf(s, events.Finetune)))
	c.reporters("fine_tuner.report_to", f.ReportTo, honoured("report_to", engineOf(s, events.Finetune)))
	c.oneOf("fine_tuner.use_gradient_checkpointing", string(f.UseGradientCheckpointing), checkpointings(), nil)
	c.require(!f.LoadIn4bit || !f.LoadIn8bit, "fine_tuner.load_in_8bit", "true", "load_in_4bit and load_in_8bit cannot both be true")
	c.between("fine_tuner.dataset_num_proc", f.DatasetNumProc, 1, maxBatch)
	c.require(f.FullFinetuning || len(f.TargetModules) > 0,
		"fine_tuner.target_modules", "", "names no module that could learn; or set full_finetuning")
	c.requireText(finetunes, "fine_tuner.training_data_id", f.TrainingDataID, "fine-tuning is enabled")
	c.requireText(finetunes || infers && i.ModelID == "", "fine_tuner.base_model_id", f.BaseModelID, "a phase needs the model")
	c.between("inferencer.max_sequence_length", i.MaxSequenceLength, 1, maxTokens)
	c.between("inferencer.max_new_tokens", i.MaxNewTokens, 1, maxTokens)
	c.between("inferencer.batch_size", i.BatchSize, 1, maxBatch)
	c.between("inferencer.top_k", i.TopK, 0, maxTokens)
	c.between("inferencer.seed", i.Seed, 0, math.MaxUint32)
	c.upTo("inferencer.temperature", i.Temperature, 100)
	c.upTo("inferencer.top_p", i.TopP, 1)
	c.upTo("inferencer.min_p", i.MinP, 1)
	penalty := i.RepetitionPenalty // smaller and larger ones make logits that are no numbers
	c.require(penalty == 0 || penalty >= 0.01 && penalty <= 100, "inferencer.repetition_penalty", fmt.Sprint(penalty), "out of range", "0, or 0.01 to 100")
	c.require(!slices.Contains(i.Stop, ""), "inferencer.stop", "", "has an empty text, which would end every answer before it begins")
	c.require(!i.LoadIn4bit || !i.LoadIn8bit, "inferencer.load_in_8bit", "true", "load_in_4bit and load_in_8bit cannot both be true")
	c.requireText(infers, "inferencer.testing_data_id", i.TestingDataID, "inference is enabled")
	c.require(len(e.Metrics) > 0 || !evaluates, "evaluator.metrics", "", "names no metric; evaluation is enabled")
	c.upTo("evaluator.cost_per_million_input_tokens", e.CostPerMillionInputTokens, 1e9)
	c.upTo("evaluator.cost_per_million_output_tokens", e.CostPerMillionOutputTokens, 1e9)
	c.metrics("evaluator.metrics", e.Metrics)
	c.gates(e)
	c.between("pipeline.max_tries", p.MaxTries, 1, maxSteps)
	c.between("pipeline.max_crashes", p.MaxCrashes, 1, maxSteps)
	for key, text := range durations(&s) {
		d, err := time.ParseDuration(*text)
		c.require(*text == "" || err == nil && d > 0, key, *text, "not a duration", `a number and a unit, such as "90s", "45m" or "36h"`)
	}
	c.require(s.MLflow.ExperimentName != "", "mlflow.experiment_name", "", "must not be empty")
	c.trackingURI(s.MLflow.TrackingURI)
	if name := s.MLflow.RegisterAs; name != "" && CheckModelName(name) != nil {
		c.require(false, "mlflow.register_as", strconv.Quote(name), "is no name of a registered model", fmt.Sprintf("1 to %d characters without / and :", maxModelName))
	}
	for _, f := range hubname.Faults("fine_tuner.hub_model_id", f.HubModelID, map[string]string{"inferencer.hf_user_id": i.HFUserID, "evaluator.hf_user_id": e.HFUserID}) {
		c.require(false, f.Key, f.Value, f.Message, f.Allowed)
	}
	c.withoutPassword("evaluator.judge_base_url", e.JudgeBaseURL, "evaluation")
	c.templateArguments("fine_tuner.chat_template_kwargs", f.ChatTemplateKwargs)
	c.templateArguments("inferencer.chat_template_kwargs", i.ChatTemplateKwargs)
	for key, text := range map[string]string{"fine_tuner.data_delimiter": f.DataDelimiter, "inferencer.data_delimiter": i.DataDelimiter} {
		if _, err := source.Delimiter(text); err != nil {
			c.require(false, key, strconv.Quote(text), "cannot separate cells", `one character of ASCII other than a quote, or "tab"`)
		}
	}
	c.engines(s)
	return c.faults
}

// checker collects the faults of a specification.
type checker struct{ faults structconf.Faults }

func (c *checker) require(ok bool, key, value, message string, allowed ...string) {
	if !ok {
		c.faults = append(c.faults, structconf.Fault{Key: key, Value: value, Allowed: strings.Join(allowed, ", "), Message: message})
	}
}

func (c *checker) between(key string, v, low, high int) {
	var message string
	switch {
	case v < low:
		message = "too small"
	case v > high:
		message = "too large"
	default:
		return
	}
	c.require(false, key, fmt.Sprint(v), message, fmt.Sprintf("%d to %d", low, high))
}

func (c *checker) belowOne(key string, v float64) {
	if !(v >= 0 && v < 1) { // also true for NaN
		c.require(false, key, fmt.Sprint(v), "out of range", "from 0 to less than 1")
	}
}

func (c *checker) upTo(key string, v, high float64) {
	if !(v >= 0 && v <= high) { // also true for NaN
		c.require(false, key, fmt.Sprint(v), "out of range", fmt.Sprintf("0 to %g", high))
	}
}

func (c *checker) positive(key string, v float64) {
	if !(v > 0) || math.IsInf(v, 0) {
		c.require(false, key, fmt.Sprint(v), "out of range", "more than 0, and finite")
	}
}

// oneOf checks a name. An empty one asks for nothing. here are those of the known names that
// the engine has; nil: all, as far as is known.
func (c *checker) oneOf(key, v string, known, here []string) {
	switch {
	case v == "" || slices.Contains(known, v):
	case len(here) > 0:
		c.require(false, key, strconv.Quote(v), "not allowed"+suggestion(v, known), strings.Join(here, ", ")+"; the built-in engine has no others, and what a Python engine has its trainer says")
	default:
		c.require(false, key, strconv.Quote(v), "not allowed"+suggestion(v, known), strings.Join(known, ", "))
	}
}

// honoured are the names of a key of fine-tuning that an engine has, the default first; nil:
// its trainer says it.
func honoured(name, engine string) []string {
	for _, s := range Supports("fine_tuner", name) {
		if s.Engine == engine && len(s.Values) > 0 {
			return append([]string{Value(Defaults(), "fine_tuner."+name)}, s.Values...)
		}
	}
	return nil
}

// reporters checks one name or several, separated by commas.
func (c *checker) reporters(key, v string, here []string) {
	for one := range strings.SplitSeq(v, ",") {
		c.oneOf(key, strings.TrimSpace(one), pythontrainer.Reporters(), here)
	}
}

func (c *checker) metrics(key string, metrics []string) {
	known := Metrics()
	allowed := strings.Join(known, ", ") // once, because a list from outside may be long
	for _, m := range metrics {
		if slices.Contains(known, m) || len(c.faults) > maxFaults {
			continue
		}
		c.require(false, key, m, "unknown metric"+suggestion(m, known), allowed)
	}
}

// engines checks that the engine of each phase of the plan has what the run cannot
// do without.
func (c *checker) engines(s events.Specification) {
	set := changedKeys(s)
	named := map[string]bool{} // by a note, or by a fault of the value
	for _, v := range voidKeys(s, set) {
		named[v.key] = true
	}
	for _, f := range c.faults {
		parts := strings.SplitN(f.Key, ".", 3) // without the entry of a table
		named[strings.Join(parts[:min(2, len(parts))], ".")] = true
	}
	for _, step := range Plan(s) {
		if step.Phase == events.Finetune && engineOf(s, step.Phase) == Builtin && !s.FineTuner.FullFinetuning {
			c.modules(s.FineTuner)
		}
		for _, a := range unsupported(s, set, step.Phase, engineOf(s, step.Phase)) {
			if a.refused && !named[a.key] {
				c.require(false, a.key, Quote(a.key, a.value), a.instead)
			}
		}
	}
}

// suggestion names the nearest known name.
func suggestion(name string, known []string) string {
	if nearest := structconf.Nearest(name, known); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return ""
}

func (c *checker) requireText(needed bool, key, value, why string) {
	c.require(!needed || value != "", key, "", "is missing; "+why)
}

func (c *checker) trackingURI(uri string) {
	if folderaddress.Is(uri) {
		_, err := folderaddress.Folder(uri)
		c.require(err == nil, "mlflow.tracking_uri", uri, fmt.Sprint(err))
		return
	}
	ok := uri == "" || strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://")
	c.require(ok, "mlflow.tracking_uri", "", "unknown kind of address", "http://…", "https://…", "file:…")
	c.withoutPassword("mlflow.tracking_uri", uri, "tracker")
}

// withoutPassword refuses an address with credentials, because a specification is
// published. The fault does not contain them.
func (c *checker) withoutPassword(key, address, service string) {
	c.require(!redaction.HasSecret(address) || strings.Contains(address, "@"), key, "", "an address must not hold a secret in its query; give it to the "+service)
	// A password may hold a "/", so that an @ behind the host is one of those, too.
	c.require(!strings.Contains(address, "@"), key, "", "an address must not hold a user or password; give them to the "+service+"; write %40 for an @ in a path")
}
