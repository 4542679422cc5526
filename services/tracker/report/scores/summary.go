package scores

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Summary sums up the evaluation of a run. Its JSON is the file
// evaluator_output_summary.json.
type Summary struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name,omitempty"`
	Rows    int    `json:"rows"`
	// Failed counts the rows with an error, Empty the other rows without an answer.
	Failed int `json:"failed_rows"`
	Empty  int `json:"empty_answers"`
	// Unscored counts the rows that lack the score of at least one metric.
	Unscored int `json:"rows_without_a_score"`
	// WithKeyFact counts the rows with a key fact, MissingKeyFact those of them
	// whose answer lacks it.
	WithKeyFact    int `json:"rows_with_key_fact"`
	MissingKeyFact int `json:"missing_key_facts"`
	// Scores and BaselineScores are the scores of the whole run: means, or
	// values that a metric computes over all rows together.
	Scores         map[string]float64 `json:"scores,omitempty"`
	BaselineScores map[string]float64 `json:"baseline_scores,omitempty"`
	Gates          []events.Gate      `json:"gates,omitempty"`
	// Coverage and BaselineCoverage say for how many rows each of them stands.
	Coverage         map[string]events.Coverage `json:"coverage,omitempty"`
	BaselineCoverage map[string]events.Coverage `json:"baseline_coverage,omitempty"`
	// Export is the command that writes the tuned model to a folder; empty if
	// there is none.
	Export string `json:"export,omitempty"`
	// Metrics are sorted by name.
	Metrics []Metric `json:"metrics"`
}

// Metric sums up one metric over the rows.
type Metric struct {
	Name string `json:"name"`
	// SameAs is the main score of the metric, if this one is equal to it in each
	// row, as rougeL is to rouge_score.
	SameAs string `json:"same_as,omitempty"`
	// Statistics is nil if no row has a score.
	Statistics *Statistics `json:"statistics,omitempty"`
	// Baseline describes the scores of the base model; nil if it has none.
	Baseline *Statistics `json:"baseline,omitempty"`
	// Unscored and BaselineUnscored are the reasons why rows have no score.
	Unscored         []Reason `json:"unscored,omitempty"`
	BaselineUnscored []Reason `json:"baseline_unscored,omitempty"`
	// Difference is the mean of the model minus the mean of the base model.
	Difference *float64  `json:"difference,omitempty"`
	Histogram  Histogram `json:"histogram"`
}

// Summarise reads all rows once. on are the flags of commands on the run that say where it is
// found.
func Summarise(ctx context.Context, run events.Run, open Opener, on ...string) (Summary, error) {
	s := Summary{RunID: run.ID, Metrics: []Metric{}}
	if run.Accepted != nil {
		s.RunName = run.Accepted.RunName
	}
	if p := run.Phases[events.Evaluation]; p != nil && p.Completed != nil {
		s.Scores, s.BaselineScores, s.Gates = p.Completed.Scores, p.Completed.BaselineScores, p.Completed.Gates
		s.Coverage, s.BaselineCoverage = p.Completed.Coverage, p.Completed.BaselineCoverage
	}
	if runsummary.TunedModel(run) {
		s.Export = runsummary.ExportCommand(run, on...)
	}
	values, baseline := make(map[string][]float64), make(map[string][]float64)
	unscored, baselineUnscored := make(unscoredRows), make(unscoredRows)
	for row, err := range Read(ctx, open) {
		if err != nil {
			return Summary{}, err
		}
		s.count(row)
		unscored.add(row.Unscored)
		baselineUnscored.add(row.BaselineUnscored)
		for name, v := range row.Scores {
			values[name] = append(values[name], v)
		}
		for name, v := range row.BaselineScores {
			baseline[name] = append(baseline[name], v)
		}
	}
	names := slices.Collect(maps.Keys(values))
	names = slices.AppendSeq(names, maps.Keys(baseline))
	names = slices.AppendSeq(names, maps.Keys(unscored)) // a metric may have no score at all
	slices.Sort(names)
	names = slices.Compact(names)
	same := sameScores(names, values, baseline) // before the values are sorted
	for _, name := range names {
		m := summariseMetric(name, values[name], baseline[name])
		m.SameAs = same[name]
		m.Unscored = unscored.of(name, s.Rows-len(values[name]))
		if s.hasBaseline(baseline, baselineUnscored) {
			m.BaselineUnscored = baselineUnscored.of(name, s.Rows-len(baseline[name]))
		}
		s.Metrics = append(s.Metrics, m)
	}
	return s, nil
}

// sameScores finds the scores that are equal to the main score of their metric in
// each row.
func sameScores(names []string, values, baseline map[string][]float64) map[string]string {
	same := map[string]string{}
	for _, name := range names {
		main := spec.MainScore(name)
		if main != name && len(values[name])+len(baseline[name]) > 0 &&
			slices.Equal(values[name], values[main]) && slices.Equal(baseline[name], baseline[main]) {
			same[name] = main
		}
	}
	return same
}

func summariseMetric(name string, values, baseline []float64) Metric {
	m := Metric{
		Name:       name,
		Statistics: describe(values),
		Baseline:   describe(baseline),
	}
	if len(values)+len(baseline) > 0 {
		m.Histogram = newHistogram(values, baseline)
	}
	if m.Statistics != nil && m.Baseline != nil {
		difference := m.Statistics.Mean - m.Baseline.Mean
		m.Difference = &difference
	}
	return m
}

func (s *Summary) count(row Row) {
	s.Rows++
	if row.Error != "" {
		s.Failed++
	}
	if row.IsEmpty() {
		s.Empty++
	}
	if len(row.Unscored)+len(row.BaselineUnscored) > 0 {
		s.Unscored++
	}
	if row.KeyFact != "" {
		s.WithKeyFact++
	}
	if row.MissesKeyFact() {
		s.MissingKeyFact++
	}
}

// hasBaseline reports whether the run has answers of a base model.
func (s Summary) hasBaseline(scores map[string][]float64, unscored unscoredRows) bool {
	return len(scores)+len(unscored)+len(s.BaselineScores) > 0
}

// HasBaseline reports whether the answers of the base model were scored, too.
func (s Summary) HasBaseline() bool {
	return slices.ContainsFunc(s.Metrics, func(m Metric) bool { return m.Baseline != nil })
}

// RowScore is the mean of the scores of a row, each scaled to the range of its
// metric. ok is false if the row has none.
func (s Summary) RowScore(row Scores) (score float64, ok bool) {
	sum, n := 0.0, 0
	for _, m := range s.Metrics {
		if v, ok := row[m.Name]; ok && len(m.Histogram.Edges) > 0 {
			sum += m.Histogram.scale(v)
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	return sum / float64(n), true
}

// Reason is a reason why rows have no score, with their number.
type Reason struct {
	Reason string `json:"reason"`
	Rows   int    `json:"rows"`
}

// maxReasons is how many different reasons of one metric are kept, because reasons
// may quote answers.
const maxReasons = 10

// noReason stands for rows of earlier versions, which recorded none, and otherReasons
// for those that are not kept.
const (
	noReason     = "no reason was recorded"
	otherReasons = "other reasons"
)

// unscoredRows counts rows by metric and reason.
type unscoredRows map[string]map[string]int

func (u unscoredRows) add(reasons map[string]string) {
	for name, why := range reasons {
		counts := u[name]
		if counts == nil {
			counts = make(map[string]int)
			u[name] = counts
		}
		if _, known := counts[why]; !known && len(counts) >= maxReasons {
			why = otherReasons
		}
		counts[why]++
	}
}

// of returns the reasons of the rows that lack a score, the most frequent first. A
// score that is not its metric's main one has the reasons of that.
func (u unscoredRows) of(score string, lacking int) []Reason {
	if lacking <= 0 {
		return nil
	}
	var out []Reason
	for why, n := range u[spec.MainScore(score)] {
		out = append(out, Reason{Reason: why, Rows: n})
		lacking -= n
	}
	slices.SortFunc(out, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Reason, b.Reason))
	})
	if lacking > 0 {
		out = append(out, Reason{Reason: noReason, Rows: lacking})
	}
	return out
}

// Statistics describe the scores of one metric, over all rows that have one.
type Statistics struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	// Std is the sample standard deviation (n − 1); nil for fewer than two scores.
	Std *float64 `json:"std,omitempty"`
	Min float64  `json:"min"`
	// Q1, Median and Q3 interpolate linearly between neighbours, as spreadsheets
	// (QUARTILE.INC) and pandas do.
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
	Max    float64 `json:"max"`
}

// describe sorts the values. It returns nil if there are none.
func describe(values []float64) *Statistics {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	n := float64(len(values))
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	s := &Statistics{
		Count:  len(values),
		Mean:   sum / n,
		Min:    values[0],
		Q1:     quantile(values, 0.25),
		Median: quantile(values, 0.5),
		Q3:     quantile(values, 0.75),
		Max:    values[len(values)-1],
	}
	if len(values) > 1 {
		squares := 0.0
		for _, v := range values {
			squares += (v - s.Mean) * (v - s.Mean)
		}
		std := math.Sqrt(squares / (n - 1))
		s.Std = &std
	}
	return s
}

// quantile interpolates between sorted values.
func quantile(values []float64, q float64) float64 {
	at := q * float64(len(values)-1)
	low := int(at)
	if low+1 == len(values) {
		return values[low]
	}
	return values[low] + (at-float64(low))*(values[low+1]-values[low])
}
