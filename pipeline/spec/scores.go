package spec

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// metricScores has the scores of each metric by their names, the main one first.
// Like [Metrics] it repeats what the services compute; a test in cmd/tunebus
// compares the two.
//
// A list from outside may name a hundred thousand metrics, so it is made once.
var metricScores = map[string][]string{
	"bleu_score":          {"bleu_score"},
	"sacrebleu":           {"sacrebleu", "sentence_bleu"},
	"rouge_score":         {"rouge_score", "rouge1", "rouge2", "rougeL"},
	"exact_match":         {"exact_match"},
	"token_f1":            {"token_f1"},
	"chrf":                {"chrf", "chrf_corpus"},
	"chrfpp":              {"chrfpp", "chrfpp_corpus"},
	"key_fact":            {"key_fact_accuracy"},
	"factual_correctness": {"factual_correctness", "factual_correctness_exact"},
	"semantic_similarity": {"semantic_similarity"},
	"answer_accuracy":     {"answer_accuracy", "answer_accuracy_available"},
	"answer_relevancy":    {"answer_relevancy"},
	"answer_correctness":  {"answer_correctness"},
}

// Scores returns the names of the scores that a metric has, its main one first;
// none for an unknown metric.
func Scores(metric string) []string { return metricScores[metric] }

// scoreRange returns the lowest and the highest value of a score.
func scoreRange(name string) (low, high float64) {
	switch name {
	case "sacrebleu", "sentence_bleu":
		return 0, 100
	case "semantic_similarity", "answer_relevancy": // cosines
		return -1, 1
	}
	return 0, 1
}

// NeedsGroundTruth reports whether one of the metrics compares answers with ground
// truths.
func NeedsGroundTruth(metrics []string) bool {
	return slices.ContainsFunc(metrics, func(m string) bool { return m != "key_fact" && m != "answer_relevancy" })
}

// gates checks the gates against the metrics: a gate on a score that none of them
// has would be missed after hours of work.
func (c *checker) gates(e events.Evaluator) {
	var scores []string
	for _, m := range e.Metrics {
		for _, name := range Scores(m) {
			if !slices.Contains(scores, name) {
				scores = append(scores, name)
			}
		}
	}
	allowed := strings.Join(scores, ", ")
	for _, name := range slices.Sorted(maps.Keys(e.Gates)) {
		key := "evaluator.gates." + name
		if at := e.Gates[name]; math.IsNaN(at) || math.IsInf(at, 0) {
			c.require(false, key, fmt.Sprint(at), "is no finite number")
		} else if low, high := scoreRange(name); at < low || at > high {
			c.require(false, key, fmt.Sprint(at), "is beyond what the score can be", fmt.Sprintf("%g to %g", low, high))
		}
		if slices.Contains(scores, name) || len(c.faults) > maxFaults {
			continue
		}
		message := "no metric of evaluator.metrics has this score"
		if metric := metricOf(name); metric != "" {
			message += fmt.Sprintf("; the metric %q has it", metric)
		} else if given := Scores(name); len(given) > 0 {
			message += fmt.Sprintf("; the score of the metric %q is called %q", name, given[0])
		} else if nearest := structconf.Nearest(name, scores); nearest != "" {
			message += fmt.Sprintf("; did you mean %q?", nearest)
		}
		c.require(false, key, fmt.Sprint(e.Gates[name]), message, allowed)
	}
	c.upTo("evaluator.gate_coverage", e.GateCoverage, 1)
}

// MainScore is the main score of the metric that has a score; the score itself if
// no metric has it.
func MainScore(score string) string {
	if m := metricOf(score); m != "" {
		return Scores(m)[0]
	}
	return score
}

// metricOf is the metric that has a score; empty if none has.
func metricOf(score string) string {
	for _, m := range Metrics() {
		if slices.Contains(Scores(m), score) {
			return m
		}
	}
	return ""
}
