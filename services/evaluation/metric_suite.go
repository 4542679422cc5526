package evaluation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
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

// gates compares scores with the thresholds of the specification. A gate on a
// score that does not exist is missed, with a note.
func gates(thresholds map[string]float64, scores map[string]float64) ([]events.Gate, []string) {
	var out []events.Gate
	var notes []string
	for _, name := range slices.Sorted(maps.Keys(thresholds)) {
		v, ok := scores[name]
		if !ok {
			notes = append(notes, fmt.Sprintf("gate %s is missed: there is no such score", name))
		}
		out = append(out, events.Gate{Metric: name, AtLeast: thresholds[name], Score: v, Met: ok && v >= thresholds[name]})
	}
	return out, notes
}
