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

// suiteOf makes the reference metrics among those that the specification
// names, and a note for each that cannot be had here. The judged ones are
// [Judge]'s.
func suiteOf(e events.Evaluator) (metric.Suite, []string) {
	var suite metric.Suite
	var notes []string
	for _, name := range e.Metrics {
		m, err := metric.New(name, metric.Options{})
		var unknown *metric.UnknownMetricError
		switch {
		case err == nil:
			suite = append(suite, m)
		case slices.Contains(judge.Names(), name):
		case errors.As(err, &unknown):
			notes = append(notes, fmt.Sprintf("metric %s has no score: known are %s", name, strings.Join(append(unknown.Known, judge.Names()...), ", ")))
		default:
			notes = append(notes, fmt.Sprintf("metric %s has no score: %v", name, err))
		}
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

// gates compares scores with the thresholds of the specification. A gate on
// a score that does not exist is missed, with a note.
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
