package report

import (
	"context"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
)

// Summary sums up the evaluation of a run. It is evaluator_output_summary.json.
type Summary struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name,omitempty"`
	Rows    int    `json:"rows"`
	// Failed counts the rows with an error, Empty the other rows without an answer.
	Failed int `json:"failed_rows"`
	Empty  int `json:"empty_answers"`
	// WithKeyFact counts the rows that name a key fact, MissingKeyFact those
	// of them whose answer lacks it.
	WithKeyFact    int `json:"rows_with_key_fact"`
	MissingKeyFact int `json:"missing_key_facts"`
	// Scores and BaselineScores are those of the run: means, and what metrics
	// compute over all rows together.
	Scores         map[string]float64 `json:"scores,omitempty"`
	BaselineScores map[string]float64 `json:"baseline_scores,omitempty"`
	Gates          []events.Gate      `json:"gates,omitempty"`
	// Metrics are sorted by name.
	Metrics []Metric `json:"metrics"`
}

// Metric sums up one metric over the rows.
type Metric struct {
	Name string `json:"name"`
	// Statistics is nil where no row has a score.
	Statistics *Statistics `json:"statistics,omitempty"`
	// Baseline is of the base model's answers, nil where there are none.
	Baseline *Statistics `json:"baseline,omitempty"`
	// Difference is the mean of the model less the mean of the base model.
	Difference *float64  `json:"difference,omitempty"`
	Histogram  Histogram `json:"histogram"`
}

// Summarise reads all scores once.
func Summarise(ctx context.Context, run events.Run, open Opener) (Summary, error) {
	s := Summary{RunID: run.ID, Metrics: []Metric{}}
	if run.Accepted != nil {
		s.RunName = run.Accepted.RunName
	}
	if done := evaluation(run); done != nil {
		s.Scores, s.BaselineScores, s.Gates = done.Scores, done.BaselineScores, done.Gates
	}
	columns, baselines := make(map[string][]float64), make(map[string][]float64)
	for row, err := range rows(ctx, open) {
		if err != nil {
			return Summary{}, err
		}
		s.add(row)
		for name, v := range row.Scores {
			columns[name] = append(columns[name], v)
		}
		for name, v := range row.BaselineScores {
			baselines[name] = append(baselines[name], v)
		}
	}
	names := slices.Collect(maps.Keys(columns))
	names = slices.AppendSeq(names, maps.Keys(baselines))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		m := Metric{
			Name:       name,
			Statistics: describe(columns[name]), Baseline: describe(baselines[name]),
			Histogram: newHistogram(columns[name], baselines[name]),
		}
		if m.Statistics != nil && m.Baseline != nil {
			gain := m.Statistics.Mean - m.Baseline.Mean
			m.Difference = &gain
		}
		s.Metrics = append(s.Metrics, m)
	}
	return s, nil
}

func (s *Summary) add(row Row) {
	s.Rows++
	if row.Error != "" {
		s.Failed++
	}
	if row.isEmpty() {
		s.Empty++
	}
	if row.KeyFact != "" {
		s.WithKeyFact++
	}
	if row.missesKeyFact() {
		s.MissingKeyFact++
	}
}

// hasBaseline reports whether the base model's answers were scored too.
func (s Summary) hasBaseline() bool {
	return slices.ContainsFunc(s.Metrics, func(m Metric) bool { return m.Baseline != nil })
}

// rowScore is the mean of a row's scores, each scaled to the range of its
// metric; false where there are none.
func (s Summary) rowScore(scores Scores) (float64, bool) {
	sum, n := 0.0, 0
	for _, m := range s.Metrics {
		if v, ok := scores[m.Name]; ok {
			sum += m.Histogram.scale(v)
			n++
		}
	}
	if n == 0 {
		return 0, false
	}
	return sum / float64(n), true
}

// evaluation is how the evaluation of a run ended; nil before that.
func evaluation(run events.Run) *events.PhaseCompleted {
	if p := run.Phases[events.Evaluation]; p != nil {
		return p.Completed
	}
	return nil
}
