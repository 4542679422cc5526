package evaluation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/evaluation/judge"
	"github.com/tunebus/tunebus/services/evaluation/metric"
)

// newSuite returns the reference metrics that the specification names, and a
// note for each unknown metric. [Judge] makes the judged metrics.
func newSuite(s events.Evaluator) (metric.Suite, []string) {
	var suite metric.Suite
	var notes []string
	for _, name := range s.Metrics {
		m, err := metric.New(name, metric.Options{})
		if err == nil {
			suite = append(suite, m)
			continue
		}
		if slices.Contains(judge.Names(), name) {
			continue
		}
		if unknown, ok := errors.AsType[*metric.UnknownMetricError](err); ok {
			known := strings.Join(append(unknown.Known, judge.Names()...), ", ")
			notes = append(notes, fmt.Sprintf("metric %s has no score: known are %s", name, known))
			continue
		}
		notes = append(notes, fmt.Sprintf("metric %s has no score: %v", name, err))
	}
	return suite, notes
}

// statistics are the scores under the names that MLflow shows.
func statistics(scores map[string]float64, rows int) map[string]float64 {
	out := map[string]float64{"eval_rows": float64(rows)}
	for k, v := range scores {
		out["eval_"+k] = v
	}
	return out
}

// The share of the rows that need a score for a gate to be met, unless the
// specification says it.
const (
	referenceCoverage = 1.0
	judgedCoverage    = 0.95 // a judge may refuse a few texts whatever one does
)

// gates compares scores with the thresholds of the specification. A gate on a score
// that no row has, or too few rows, is missed, with the reason in a note.
func gates(s events.Evaluator, scores map[string]float64, coverage map[string]events.Coverage) ([]events.Gate, []string) {
	var out []events.Gate
	var notes []string
	for _, name := range slices.Sorted(maps.Keys(s.Gates)) {
		v, ok := scores[name]
		g := events.Gate{Metric: name, AtLeast: s.Gates[name], Score: v, Met: ok && v >= s.Gates[name]}
		c, need := coverage[name], gateCoverage(s, name)
		// Shares such as 0.95 have no exact form in binary.
		const rounding = 1e-9
		switch {
		case !ok:
			g.Reason = "no row has this score"
		case float64(c.Scored) < need*float64(c.Rows)-rounding:
			g.Met = false
			g.Reason = fmt.Sprintf("%d of %d rows have the score, %.4g %% are needed", c.Scored, c.Rows, 100*need)
		}
		if g.Reason != "" {
			notes = append(notes, fmt.Sprintf("gate %s is missed: %s (evaluator.gate_coverage)", name, g.Reason))
		}
		out = append(out, g)
	}
	return out, notes
}

// gateCoverage is the share of the rows that need a score.
func gateCoverage(s events.Evaluator, score string) float64 {
	if s.GateCoverage > 0 {
		return s.GateCoverage
	}
	for _, name := range judge.Names() {
		if slices.Contains(spec.Scores(name), score) {
			return judgedCoverage
		}
	}
	return referenceCoverage
}
