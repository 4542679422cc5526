package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Metrics returns the allowed values of evaluator.metrics. The services compute
// them; a test in cmd/tunebus compares this list with theirs, since this package
// knows no service.
func Metrics() []string {
	return []string{
		"bleu_score", "rouge_score", "factual_correctness", "semantic_similarity",
		"answer_accuracy", "answer_relevancy", "answer_correctness",
		"exact_match", "token_f1", "chrf", "chrfpp", "sacrebleu", "key_fact",
	}
}

// maxFaults is the largest number of faults in one list of a specification. A
// list may come from outside, and has a fault of its size anyway.
const maxFaults = 10_000

// check returns the faults of values that have the right type.
func check(s events.Specification) structconf.Faults {
	var c checker
	f, i, e, p := s.FineTuner, s.Inferencer, s.Evaluator, s.Pipeline
	finetunes := p.EnableFinetuning
	infers := p.EnableInference && !p.StopAfterFinetuning
	evaluates := p.EnableEvaluation && !p.StopAfterFinetuning && !p.StopAfterInference

	c.atLeast("fine_tuner.max_sequence_length", f.MaxSequenceLength, 1)
	c.atLeast("fine_tuner.rank", f.Rank, 1)
	c.upTo("fine_tuner.lora_dropout", f.LoRADropout, 1)
	c.positive("fine_tuner.lora_alpha", f.LoRAAlpha)
	c.atLeast("fine_tuner.device_train_batch_size", f.DeviceTrainBatchSize, 1)
	c.atLeast("fine_tuner.device_validation_batch_size", f.DeviceValidationBatchSize, 1)
	c.atLeast("fine_tuner.grad_accumulation", f.GradAccumulation, 1)
	c.atLeast("fine_tuner.epochs", f.Epochs, 1)
	c.positive("fine_tuner.learning_rate", f.LearningRate)
	c.atLeast("fine_tuner.warmup_steps", f.WarmupSteps, 0)
	c.atLeast("fine_tuner.save_steps", f.SaveSteps, 0)
	c.atLeast("fine_tuner.save_total_limit", f.SaveTotalLimit, 0)
	c.atLeast("fine_tuner.log_steps", f.LogSteps, 1)
	c.upTo("fine_tuner.weight_decay", f.WeightDecay, 1)
	c.upTo("fine_tuner.max_grad_norm", f.MaxGradNorm, 1e9)
	c.require(!f.LoadIn4bit || !f.LoadIn8bit, "fine_tuner.load_in_8bit", "true", "load_in_4bit and load_in_8bit cannot both be true")
	c.atLeast("fine_tuner.dataset_num_proc", f.DatasetNumProc, 1)
	c.require(f.FullFinetuning || len(f.TargetModules) > 0,
		"fine_tuner.target_modules", "", "names no module that could learn; or set full_finetuning")
	c.requireText(finetunes, "fine_tuner.training_data_id", f.TrainingDataID, "fine-tuning is enabled")
	c.requireText(finetunes || infers && i.ModelID == "", "fine_tuner.base_model_id", f.BaseModelID, "a phase needs the model")

	c.atLeast("inferencer.max_sequence_length", i.MaxSequenceLength, 1)
	c.atLeast("inferencer.max_new_tokens", i.MaxNewTokens, 1)
	c.atLeast("inferencer.batch_size", i.BatchSize, 1)
	c.atLeast("inferencer.top_k", i.TopK, 0)
	c.upTo("inferencer.temperature", i.Temperature, 100)
	c.upTo("inferencer.top_p", i.TopP, 1)
	c.upTo("inferencer.min_p", i.MinP, 1)
	c.require(!i.LoadIn4bit || !i.LoadIn8bit, "inferencer.load_in_8bit", "true", "load_in_4bit and load_in_8bit cannot both be true")
	c.requireText(infers, "inferencer.testing_data_id", i.TestingDataID, "inference is enabled")

	c.require(len(e.Metrics) > 0 || !evaluates, "evaluator.metrics", "", "names no metric; evaluation is enabled")
	c.upTo("evaluator.cost_per_million_input_tokens", e.CostPerMillionInputTokens, 1e9)
	c.upTo("evaluator.cost_per_million_output_tokens", e.CostPerMillionOutputTokens, 1e9)
	known := Metrics()
	allowed := strings.Join(known, ", ") // once, because a list from outside may be long
	for _, m := range e.Metrics {
		if slices.Contains(known, m) || len(c.faults) > maxFaults {
			continue
		}
		suggestion := ""
		if nearest := structconf.Nearest(m, known); nearest != "" {
			suggestion = fmt.Sprintf("; did you mean %q?", nearest)
		}
		c.require(false, "evaluator.metrics", m, "unknown metric"+suggestion, allowed)
	}
	c.atLeast("pipeline.max_tries", p.MaxTries, 1)
	c.atLeast("pipeline.max_crashes", p.MaxCrashes, 1)
	for key, text := range durations(&s) {
		d, err := time.ParseDuration(*text)
		c.require(*text == "" || err == nil && d > 0, key, *text, "not a duration", `a number and a unit, such as "90s", "45m" or "36h"`)
	}
	c.require(s.MLflow.ExperimentName != "", "mlflow.experiment_name", "", "must not be empty")
	c.trackingURI(s.MLflow.TrackingURI)
	c.withoutPassword("evaluator.judge_base_url", e.JudgeBaseURL, "evaluation")
	c.templateArguments("fine_tuner.chat_template_kwargs", f.ChatTemplateKwargs)
	c.templateArguments("inferencer.chat_template_kwargs", i.ChatTemplateKwargs)
	return c.faults
}

// checker collects the faults of a specification.
type checker struct{ faults structconf.Faults }

func (c *checker) require(ok bool, key, value, message string, allowed ...string) {
	if !ok {
		c.faults = append(c.faults, structconf.Fault{Key: key, Value: value, Allowed: strings.Join(allowed, ", "), Message: message})
	}
}

func (c *checker) atLeast(key string, v, least int) {
	if v < least {
		c.require(false, key, fmt.Sprint(v), "too small", fmt.Sprintf("%d or more", least))
	}
}

func (c *checker) upTo(key string, v, high float64) {
	if !(v >= 0 && v <= high) { // also true for NaN
		c.require(false, key, fmt.Sprint(v), "out of range", fmt.Sprintf("0 to %g", high))
	}
}

func (c *checker) positive(key string, v float64) {
	if !(v > 0) {
		c.require(false, key, fmt.Sprint(v), "too small", "more than 0")
	}
}

func (c *checker) requireText(needed bool, key, value, why string) {
	c.require(!needed || value != "", key, "", "is missing; "+why)
}

func (c *checker) trackingURI(uri string) {
	ok := uri == "" || strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "file:")
	c.require(ok, "mlflow.tracking_uri", "", "unknown kind of address", "http://…", "https://…", "file:…")
	c.withoutPassword("mlflow.tracking_uri", uri, "tracker")
}

// withoutPassword refuses an address with credentials, because a specification is
// published. The fault does not contain them.
func (c *checker) withoutPassword(key, address, service string) {
	_, rest, _ := strings.Cut(address, "://")
	authority, _, _ := strings.Cut(rest, "/")
	c.require(!strings.Contains(authority, "@"), key, "", "an address must not hold a user or password; give them to the "+service)
}
