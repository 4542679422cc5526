package preview

import "slices"

// maxBuckets is how many buckets a histogram has at most.
const maxBuckets = 12

// histogram counts lengths in buckets of one width. The width doubles whenever a
// length lies behind the last bucket, so that the memory does not depend on the data.
type histogram struct {
	width   int
	buckets []int64
	total   Lengths
}

// Lengths sum lengths up.
type Lengths struct {
	Sequences int64 `json:"sequences"`
	Shortest  int   `json:"shortest"`
	Longest   int   `json:"longest"`
	Sum       int64 `json:"sum"`
}

// Mean is the mean length; 0 without sequences.
func (l Lengths) Mean() float64 {
	if l.Sequences == 0 {
		return 0
	}
	return float64(l.Sum) / float64(l.Sequences)
}

// Bucket is the number of sequences with a length from From to To.
type Bucket struct {
	From      int   `json:"from"`
	To        int   `json:"to"` // the largest length
	Sequences int64 `json:"sequences"`
}

// add counts a length.
func (h *histogram) add(length int) {
	if h.width == 0 {
		h.width, h.buckets = 1, make([]int64, maxBuckets)
	}
	for length >= h.width*len(h.buckets) {
		h.double()
	}
	h.buckets[length/h.width]++
	if h.total.Sequences == 0 || length < h.total.Shortest {
		h.total.Shortest = length
	}
	h.total.Longest = max(h.total.Longest, length)
	h.total.Sequences++
	h.total.Sum += int64(length)
}

// double joins each two buckets.
func (h *histogram) double() {
	joined := make([]int64, len(h.buckets))
	for i, n := range h.buckets {
		joined[i/2] += n
	}
	h.width, h.buckets = 2*h.width, joined
}

// result returns the buckets from the first to the last one with sequences.
func (h *histogram) result() []Bucket {
	first := slices.IndexFunc(h.buckets, func(n int64) bool { return n > 0 })
	if first < 0 {
		return nil
	}
	var out []Bucket
	for i := first; i < len(h.buckets) && i*h.width <= h.total.Longest; i++ {
		out = append(out, Bucket{From: i * h.width, To: (i+1)*h.width - 1, Sequences: h.buckets[i]})
	}
	return out
}
