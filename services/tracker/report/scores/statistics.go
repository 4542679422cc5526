package scores

import (
	"math"
	"slices"
)

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
