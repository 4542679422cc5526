package stats

import (
	"fmt"
	"math"
)

// Histogram counts values in bins of equal width. A bin includes its lower edge
// and excludes its upper one; the last bin includes both.
type Histogram struct {
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	Counts  []int   `json:"counts"`
	Outside int     `json:"outside"` // values below Low or above High
}

// NewHistogram returns an empty histogram of bins from low to high. It fails if
// these are invalid.
func NewHistogram(low, high float64, bins int) (*Histogram, error) {
	if !(low < high) || math.IsInf(high-low, 0) || bins < 1 {
		return nil, fmt.Errorf("histogram from %v to %v with %d bins: want low < high and a bin", low, high, bins)
	}
	return &Histogram{Low: low, High: high, Counts: make([]int, bins)}, nil
}

// Add counts values.
func (h *Histogram) Add(values ...float64) {
	for _, v := range values {
		switch {
		case math.IsNaN(v):
		case v < h.Low || h.High < v:
			h.Outside++
		default:
			h.Counts[h.bin(v)]++
		}
	}
}

// Edges are the bins' edges, one more than there are bins.
func (h *Histogram) Edges() []float64 {
	edges := make([]float64, len(h.Counts)+1)
	for i := range edges {
		edges[i] = h.edge(i)
	}
	return edges
}

func (h *Histogram) edge(i int) float64 {
	if i == len(h.Counts) {
		return h.High
	}
	return h.Low + float64(i)*(h.High-h.Low)/float64(len(h.Counts))
}

// bin divides, and then compares with the edges: 0.3 belongs to the bin that
// begins at 0.3, but the division alone may miss it by its last bit.
func (h *Histogram) bin(v float64) int {
	last := len(h.Counts) - 1
	i := min(int((v-h.Low)/(h.High-h.Low)*float64(len(h.Counts))), last)
	if v < h.edge(i) {
		return i - 1
	}
	if i < last && v >= h.edge(i+1) {
		return i + 1
	}
	return i
}
