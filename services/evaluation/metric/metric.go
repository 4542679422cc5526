package metric

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Row is one question with the model's answer and the truth about it.
type Row struct {
	Question    string
	Answer      string // the model's; may be empty, which is an answer too
	GroundTruth string
	// References are all right answers where there are several. The best of them
	// counts, and GroundTruth does not.
	References []string
	KeyFact    string // the fact that a right answer contains; empty where the data has none

	// NoAnswer is the reason why there is no answer; empty if there is one.
	NoAnswer string
	// NoGroundTruth is set if the data has no truth for the row.
	NoGroundTruth bool
}

// Truths are the right answers.
func (r Row) Truths() []string {
	if len(r.References) > 0 {
		return r.References
	}
	return []string{r.GroundTruth}
}

// Lacks returns the reason why the row cannot be scored by a metric that compares
// with ground truths, or by one that does not. It is empty if it can be.
func (r Row) Lacks(usesTruth bool) string {
	if r.NoAnswer == "" && usesTruth && r.NoGroundTruth {
		return "the row has no ground truth"
	}
	return r.NoAnswer
}

// Sample is one metric's scores for one row. It can be stored as JSON and added to
// an [Aggregate] later, also by another process.
type Sample struct {
	// Scores are by key. A key that is missing has no score for this row.
	Scores map[string]float64 `json:"scores,omitempty"`
	// Counts are the counts of which the corpus score is computed; nil for metrics
	// without one.
	Counts []float64 `json:"counts,omitempty"`
	// Missing is the reason why the row has no main score; empty if it has one.
	Missing string `json:"missing,omitempty"`
	// Emptied is set if the metric's own normalisation leaves nothing of the truth,
	// such as of "A" by the rules of SQuAD.
	Emptied bool `json:"emptied,omitempty"`
	// Unearned is set if the answer is another text than the truth and has a score only
	// since the metric's own normalisation leaves nothing of both, such as of "" and "A".
	Unearned bool `json:"unearned,omitempty"`
	// Short is set if a score is 0 because the truth has too few tokens for the metric,
	// although the answer has some of them: one that equals the truth has 0, too.
	Short bool `json:"short,omitempty"`
}

// Finite returns the sample without scores that are no finite numbers, which JSON
// cannot hold. main is the key of the main score.
func (s Sample) Finite(main string) Sample {
	odd := func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
	clean := maps.Clone(s.Scores)
	if maps.DeleteFunc(clean, odd); len(clean) == len(s.Scores) {
		return s
	}
	if _, ok := clean[main]; !ok && s.Missing == "" {
		s.Missing = "the score is no finite number"
	}
	s.Scores = clean
	return s
}

// Metric scores rows one by one.
type Metric interface {
	// Name is the metric's name for [New].
	Name() string
	// Headline is the key of the metric's main score.
	Headline() string
	// Scale is the score of a perfect answer: 1 or 100.
	Scale() float64
	// Score never fails and never panics, whatever bytes the row holds. The row has
	// what the metric needs, see [Row.Lacks].
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
		_, truthless := m.(truthless)
		if reason := row.Lacks(!truthless); reason != "" {
			samples[i].Missing = reason
			continue
		}
		samples[i] = m.Score(row).Finite(m.Headline())
	}
	return samples
}

// truthless is a metric that needs no ground truth.
type truthless interface{ needsNoTruth() }

// Headlines are the keys of the main scores, in the suite's order.
func (s Suite) Headlines() []string {
	keys := make([]string, len(s))
	for i, m := range s {
		keys[i] = m.Headline()
	}
	return keys
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
