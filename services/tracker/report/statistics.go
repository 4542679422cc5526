package report

import (
	"math"
	"slices"
	"strconv"
)

// Statistics describe the scores of one metric over all rows that have one.
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

// describe sorts values and sums them up; nil where there are none.
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
		Count: len(values), Mean: sum / n,
		Min: values[0], Q1: quantile(values, 0.25), Median: quantile(values, 0.5), Q3: quantile(values, 0.75),
		Max: values[len(values)-1],
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

// quantile expects sorted values.
func quantile(values []float64, q float64) float64 {
	at := q * float64(len(values)-1)
	low := int(at)
	if low+1 == len(values) {
		return values[low]
	}
	return values[low] + (at-float64(low))*(values[low+1]-values[low])
}

// Histogram counts scores in ranges of equal width. A score at an inner edge
// counts in the range above it.
type Histogram struct {
	Edges    []float64 `json:"edges"` // one more than ranges
	Counts   []int     `json:"counts"`
	Baseline []int     `json:"baseline,omitempty"`
}

const ranges = 10

// newHistogram counts two sets of scores in the same ranges. Scores between 0
// and 1 get ten ranges from 0 to 1, so that runs can be compared by eye; all
// others get about ten with round edges.
func newHistogram(values, baseline []float64) Histogram {
	low, high := span(values, baseline)
	var h Histogram
	const rounding = 1e-9 // some metrics give 1.0000000000000004 for a perfect answer
	if low >= -rounding && high <= 1+rounding {
		for i := range ranges + 1 {
			h.Edges = append(h.Edges, float64(i)/ranges)
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

func span(sets ...[]float64) (low, high float64) {
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
	width := (high - low) / ranges
	if width <= 0 || math.IsInf(width, 0) {
		width = max(math.Abs(low), 1) / ranges
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
	for i := first; i <= last && len(edges) <= 2*ranges; i++ {
		edges = append(edges, tidy(i*step))
	}
	return edges
}

// tidy drops what binary fractions add behind the twelfth digit.
func tidy(v float64) float64 {
	short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	if err != nil {
		return v // infinite: as it was
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

// scale places a score between the first edge (0) and the last (1).
func (h Histogram) scale(v float64) float64 {
	low, high := h.Edges[0], h.Edges[len(h.Edges)-1]
	return min(max((v-low)/(high-low), 0), 1)
}
