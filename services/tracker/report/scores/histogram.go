package scores

import (
	"math"
	"slices"
	"strconv"
)

// Histogram counts scores in bins of equal width. A score on an inner edge
// counts in the bin above it.
type Histogram struct {
	Edges    []float64 `json:"edges"` // one more than bins
	Counts   []int     `json:"counts"`
	Baseline []int     `json:"baseline,omitempty"`
}

const bins = 10

// newHistogram counts two sets of scores in the same bins. Scores between 0 and
// 1 get ten bins from 0 to 1, so that people can compare runs; all other scores
// get about ten bins with round edges.
func newHistogram(values, baseline []float64) Histogram {
	low, high := valueRange(values, baseline)
	var h Histogram
	const rounding = 1e-9 // some metrics give 1.0000000000000004 for a perfect answer
	if low >= -rounding && high <= 1+rounding {
		for i := range bins + 1 {
			h.Edges = append(h.Edges, float64(i)/bins)
		}
	} else {
		h.Edges = roundEdges(low, high)
	}
	h.Counts = h.count(values)
	if len(baseline) > 0 {
		h.Baseline = h.count(baseline)
	}
	return h
}

// valueRange returns the smallest and the largest value of all sets.
func valueRange(sets ...[]float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, values := range sets {
		for _, v := range values {
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}

// roundEdges are multiples of 1, 2 or 5 times a power of ten.
func roundEdges(low, high float64) []float64 {
	width := (high - low) / bins
	if width <= 0 || math.IsInf(width, 0) {
		width = max(math.Abs(low), 1) / bins
	}
	unit := math.Pow(10, math.Floor(math.Log10(width)))
	step := 10 * unit
	for _, factor := range []float64{1, 2, 5} {
		if factor*unit >= width {
			step = factor * unit
			break
		}
	}
	first := math.Floor(low / step)
	last := max(math.Ceil(high/step), first+1)
	var edges []float64
	for i := first; i <= last && len(edges) <= 2*bins; i++ {
		edges = append(edges, roundFraction(i*step))
	}
	return edges
}

// roundFraction drops the digits after the twelfth, which come from binary
// fractions.
func roundFraction(v float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	if err != nil {
		return v // an infinite value
	}
	return short
}

func (h Histogram) count(values []float64) []int {
	counts := make([]int, len(h.Edges)-1)
	for _, v := range values {
		at, found := slices.BinarySearch(h.Edges, v)
		if !found {
			at--
		}
		counts[min(max(at, 0), len(counts)-1)]++
	}
	return counts
}

// scale maps a score to 0 at the first edge, and to 1 at the last one.
func (h Histogram) scale(v float64) float64 {
	low, high := h.Edges[0], h.Edges[len(h.Edges)-1]
	return min(max((v-low)/(high-low), 0), 1)
}
