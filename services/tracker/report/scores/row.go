package scores

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Row is one line of the scores artifact: a question, the answers to it, and
// the scores of the answers.
type Row struct {
	Index       int64  `json:"index"`
	Question    string `json:"question"`
	GroundTruth string `json:"ground_truth"`
	Answer      string `json:"answer"`
	// References are all right answers where there are several.
	References []string `json:"references,omitempty"`
	// BaselineAnswer is the answer of the base model, if the run has a baseline.
	BaselineAnswer string `json:"baseline_answer,omitempty"`
	// KeyFact is a text that a right answer contains; empty if the data has none.
	KeyFact string `json:"key_fact,omitempty"`
	// Scores are the scores by metric. A metric that could not be computed is
	// null or missing.
	Scores         Scores `json:"scores,omitempty"`
	BaselineScores Scores `json:"baseline_scores,omitempty"`
	// Unscored and BaselineUnscored have the reason for each metric, by its main
	// score, that the answer has no score of.
	Unscored         map[string]string `json:"unscored,omitempty"`
	BaselineUnscored map[string]string `json:"baseline_unscored,omitempty"`
	// Error is the reason why the row has no answer or no scores.
	Error string `json:"error,omitempty"`
}

// WhyUnscored lists the metrics that a row has no score of, with the reasons; empty
// if it has all scores.
func (r Row) WhyUnscored() string {
	parts := whyUnscored(r.Unscored, "")
	return strings.Join(append(parts, whyUnscored(r.BaselineUnscored, "base model: ")...), "\n")
}

// whyUnscored lists metrics by their reasons.
func whyUnscored(reasons map[string]string, prefix string) []string {
	byReason := map[string][]string{}
	var order []string
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		why := reasons[name]
		if byReason[why] == nil {
			order = append(order, why)
		}
		byReason[why] = append(byReason[why], name)
	}
	for i, why := range order {
		order[i] = prefix + strings.Join(byReason[why], ", ") + ": " + why
	}
	return order
}

// Scores are the scores of one answer by metric.
type Scores map[string]float64

// UnmarshalJSON leaves out metrics that are null.
func (s *Scores) UnmarshalJSON(text []byte) error {
	var values map[string]*float64
	if err := json.Unmarshal(text, &values); err != nil {
		return err
	}
	*s = make(Scores, len(values))
	for name, v := range values {
		if v != nil {
			(*s)[name] = *v
		}
	}
	return nil
}

// keyFactMetric is the metric by which the evaluation itself decides whether
// an answer contains the key fact: 0 or 1.
const keyFactMetric = "key_fact_accuracy"

// MissesKeyFact reports whether the answer lacks the key fact. A row that
// failed has no answer to judge.
func (r Row) MissesKeyFact() bool {
	if r.Error != "" || strings.TrimSpace(r.KeyFact) == "" {
		return false
	}
	if score, ok := r.Scores[keyFactMetric]; ok {
		return score < 0.5
	}
	return !strings.Contains(foldCase(r.Answer), foldCase(r.KeyFact))
}

// IsEmpty reports whether the row has neither an answer nor an error.
func (r Row) IsEmpty() bool { return r.Error == "" && strings.TrimSpace(r.Answer) == "" }

// foldCase makes texts comparable: lower case, with single blanks.
func foldCase(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(s), " "))
}
