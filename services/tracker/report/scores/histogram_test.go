package scores

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestHistogram(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values, baseline []float64
		edges, counts    string
	}{
		"fractions": {[]float64{0, 0.1, 0.3, 0.95, 1.0000000000000004}, nil, "[0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1]", "[1 1 0 1 0 0 0 0 0 2]"},
		"percent":   {[]float64{2, 99.5}, []float64{31}, "[0 10 20 30 40 50 60 70 80 90 100]", "[1 0 0 0 0 0 0 0 0 1]"},
		"grades":    {[]float64{1, 3, 5}, nil, "[1 1.5 2 2.5 3 3.5 4 4.5 5]", "[1 0 0 0 1 0 0 1]"},
		"negative":  {[]float64{-0.2, 0.1}, nil, "[-0.2 -0.15 -0.1 -0.05 0 0.05 0.1]", "[1 0 0 0 0 1]"},
		"all alike": {[]float64{7, 7}, nil, "[7 8]", "[2]"},
	} {
		h := newHistogram(test.values, test.baseline)
		if edges, counts := fmt.Sprint(h.Edges), fmt.Sprint(h.Counts); edges != test.edges || counts != test.counts {
			t.Errorf("%s: edges %s, counts %s", name, edges, counts)
		}
	}
}

// TestHistogramCountsEverything: every score is counted once and lies between the edges, whatever its value.
func TestHistogramCountsEverything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float64Range(-1e12, 1e12), 1, 40)
		values, baseline := scores.Draw(t, "values"), scores.Draw(t, "baseline")
		h := newHistogram(values, baseline)
		if n := len(h.Counts); n < 1 || n > 2*bins || len(h.Edges) != n+1 || !slices.IsSorted(h.Edges) {
			t.Fatalf("histogram %+v", h)
		}
		total := 0
		for _, n := range h.Counts {
			total += n
		}
		low, high := valueRange(values, baseline)
		slack := 1e-9 * max(1, math.Abs(low), math.Abs(high))
		if total != len(values) || h.Edges[0] > low+slack || h.Edges[len(h.Edges)-1] < high-slack {
			t.Fatalf("%d of %d scores, %v to %v in %v", total, len(values), low, high, h.Edges)
		}
		for _, v := range values {
			if s := h.scale(v); !(s >= 0 && s <= 1) {
				t.Fatalf("scale of %v in %v is %v", v, h.Edges, s)
			}
		}
	})
}
