package events

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// JSON has no NaN and no infinity: an event with one could not be encoded, and the
// phase that it completes would never end. [Bound] leaves such numbers out.

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// finiteNumbers returns the finite numbers of a table, and the names of the others
// in their order.
func finiteNumbers(m map[string]float64) (finite map[string]float64, others []string) {
	for name, v := range m {
		if !isFinite(v) {
			others = append(others, name)
		}
	}
	if len(others) == 0 {
		return m, nil
	}
	finite = maps.Clone(m)
	for _, name := range others {
		delete(finite, name)
	}
	slices.Sort(others)
	return finite, others
}

// finite returns the event without numbers that are not finite. A note names them.
func (e PhaseCompleted) finite() PhaseCompleted {
	tables := []struct {
		what    string
		numbers *map[string]float64
	}{{"statistics", &e.Statistics}, {"scores", &e.Scores}, {"scores of the base model", &e.BaselineScores}}
	notes := slices.Clip(e.Notes)
	for _, t := range tables {
		var others []string
		if *t.numbers, others = finiteNumbers(*t.numbers); len(others) > 0 {
			notes = append(notes, "these "+t.what+" are no finite numbers and were left out: "+strings.Join(others, ", "))
		}
	}
	e.Notes = notes
	return e
}

// finite returns the gate with a score that can be encoded. A gate on a score that
// is no number is missed.
func (g Gate) finite() Gate {
	if !isFinite(g.AtLeast) {
		g.AtLeast = 0
		g.Met, g.Reason = false, "the threshold is no finite number"
	}
	if !isFinite(g.Score) {
		g.Score = 0
		g.Met, g.Reason = false, "the score is no finite number"
	}
	return g
}

// finitePoints returns the points with finite values.
func finitePoints(points []Point) []Point {
	other := func(p Point) bool { return !isFinite(p.Value) }
	if !slices.ContainsFunc(points, other) {
		return points
	}
	return slices.DeleteFunc(slices.Clone(points), other)
}
