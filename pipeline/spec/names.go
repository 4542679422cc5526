package spec

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/spec/optimizerargs"
	"github.com/tunebus/tunebus/pipeline/spec/pythontrainer"
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

// llmMetrics are the metrics that ask a language model.
func llmMetrics() []string {
	return []string{"factual_correctness", "answer_accuracy", "answer_relevancy", "answer_correctness"}
}

// embeddingMetrics are the metrics that embed texts.
func embeddingMetrics() []string {
	return []string{"semantic_similarity", "answer_relevancy", "answer_correctness"}
}

// KnownValues are the values of a key, section.key, whose values are no enumeration of
// the contract: names that a library knows. It is nil for every other key.
func KnownValues(key string) []string {
	switch key {
	case "fine_tuner.optimizer":
		return optimizerargs.Optimizers()
	case "fine_tuner.report_to":
		return pythontrainer.Reporters()
	case "fine_tuner.use_gradient_checkpointing":
		return checkpointings()
	}
	return nil
}

// checkpointings are the values of use_gradient_checkpointing.
func checkpointings() []string { return []string{"true", "false", "unsloth"} }

// CheckModelName returns an error for a name that MLflow takes for no registered
// model. Source: MLflow, utils/validation.py.
func CheckModelName(name string) error {
	if name == "" || len(name) > maxModelName || name == "." || name == ".." || strings.ContainsAny(name, "/:\x00\n\\") {
		return fmt.Errorf("%q is no name of a registered model: it has 1 to %d characters, and no / or : among them", name, maxModelName)
	}
	return nil
}

const maxModelName = 250
