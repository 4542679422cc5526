package metric

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Row is one question with the model's answer and the truth about it.
type Row struct {
	Question    string
	Answer      string // the model's
	GroundTruth string
	KeyFact     string // the fact that a right answer contains; empty where the data has none
}

// Sample is one metric's scores for one row. It can be stored as JSON and added to
// an [Aggregate] later, also by another process.
type Sample struct {
	// Scores are by key. A key that is missing has no score for this row.
	Scores map[string]float64 `json:"scores,omitempty"`
	// Counts are the counts of which the corpus score is computed; nil for metrics
	// without one.
	Counts []float64 `json:"counts,omitempty"`
}

// Metric scores rows one by one.
type Metric interface {
	// Name is the metric's name for [New].
	Name() string
	// Headline is the key of the metric's main score.
	Headline() string
	// Scale is the score of a perfect answer: 1 or 100.
	Scale() float64
	// Score never fails and never panics, whatever bytes the row holds.
	Score(row Row) Sample
}

// Corpus is a metric that also has a score for all rows together, which is not
// the mean of the rows' scores.
type Corpus interface {
	Metric
	// Corpus computes the scores, by key, from the sums of the rows' counts.
	Corpus(counts []float64) map[string]float64
}

// Options are the parameters of metrics. The zero value is the default of the
// reference implementations.
type Options struct {
	// RougeType is the variant of rouge_score: "rougeL" (default), "rouge1" or
	// "rouge2".
	RougeType string
	// RougeMode is "fmeasure" (default), "precision" or "recall", for all keys
	// of rouge_score.
	RougeMode string
}

// Names are the known names, in the order of the package comment.
func Names() []string {
	return []string{"bleu_score", "sacrebleu", "rouge_score", "exact_match", "token_f1", "chrf", "chrfpp", "key_fact"}
}

// New returns the metric called name. The error is a [*UnknownMetricError] or an
// [*OptionError].
func New(name string, opts Options) (Metric, error) {
	switch name {
	case "bleu_score":
		return bleuScore{}, nil
	case "sacrebleu":
		return sacreBLEU{}, nil
	case "rouge_score":
		return newRouge(opts)
	case "exact_match":
		return exactMatch{}, nil
	case "token_f1":
		return tokenF1{}, nil
	case "chrf":
		return chrF{name: name}, nil
	case "chrfpp":
		return chrF{name: name, words: 2}, nil
	case "key_fact":
		return keyFact{}, nil
	}
	return nil, &UnknownMetricError{Name: name, Known: Names()}
}

// UnknownMetricError is the error of a name without a metric.
type UnknownMetricError struct {
	Name  string
	Known []string
}

func (e *UnknownMetricError) Error() string {
	return fmt.Sprintf("metric %q is unknown; known are %s", e.Name, strings.Join(e.Known, ", "))
}

// OptionError is the error of an option that a metric does not allow.
type OptionError struct {
	Metric, Option, Value string
	Allowed               []string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("metric %s: %s %q is unknown; known are %s", e.Metric, e.Option, e.Value, strings.Join(e.Allowed, ", "))
}

// Suite is several metrics for the same rows.
type Suite []Metric

// Score scores the row by every metric, in the suite's order.
func (s Suite) Score(row Row) []Sample {
	samples := make([]Sample, len(s))
	for i, m := range s {
		samples[i] = m.Score(row)
	}
	return samples
}

// Merge returns the scores of a row's samples as one map.
func Merge(samples []Sample) map[string]float64 {
	merged := make(map[string]float64)
	for _, s := range samples {
		maps.Copy(merged, s.Scores)
	}
	return merged
}

// choose returns value, or the first of allowed where value is empty.
func choose(metric, option, value string, allowed ...string) (string, error) {
	switch {
	case value == "":
		return allowed[0], nil
	case !slices.Contains(allowed, value):
		return "", &OptionError{Metric: metric, Option: option, Value: value, Allowed: allowed}
	}
	return value, nil
}
