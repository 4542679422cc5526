package stats

import (
	"math"
	"slices"
)

// Summary describes a set of values. All figures are 0 without values.
type Summary struct {
	Count  int     `json:"count"`
	Mean   float64 `json:"mean"`
	Std    float64 `json:"std"` // of a sample: n-1; 0 of a single value
	Min    float64 `json:"min"`
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
	Max    float64 `json:"max"`
}

// Summarize describes values, as pandas' describe does.
func Summarize(values []float64) Summary {
	sorted := scored(values)
	if len(sorted) == 0 {
		return Summary{}
	}
	slices.Sort(sorted)
	mean := Mean(sorted)
	var squares float64
	for _, v := range sorted {
		squares += (v - mean) * (v - mean)
	}
	return Summary{
		Count:  len(sorted),
		Mean:   mean,
		Std:    math.Sqrt(squares / float64(max(len(sorted)-1, 1))),
		Min:    sorted[0],
		Q1:     quantile(sorted, 0.25),
		Median: quantile(sorted, 0.5),
		Q3:     quantile(sorted, 0.75),
		Max:    sorted[len(sorted)-1],
	}
}

// Mean is the mean of the values that are numbers; 0 without any.
func Mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// quantile interpolates between the two closest ranks, as numpy does by
// default.
func quantile(sorted []float64, q float64) float64 {
	rank := q * float64(len(sorted)-1)
	below := int(rank)
	if below+1 == len(sorted) {
		return sorted[below]
	}
	return sorted[below] + (rank-float64(below))*(sorted[below+1]-sorted[below])
}

// scored is a copy without NaN.
func scored(values []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(values), math.IsNaN)
}
