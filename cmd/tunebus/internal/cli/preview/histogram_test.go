package preview

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHistogram: no length is lost, buckets follow each other, and there are few of
// them however long the longest is.
func TestHistogram(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, longest := range []int{1, 5, 12, 13, 100, 1 << 20} {
		var h histogram
		var lengths []int
		for range 500 {
			n := random.IntN(longest + 1)
			lengths = append(lengths, n)
			h.add(n)
		}
		sum := int64(0)
		got := h.result()
		for i, b := range got {
			sum += b.Sequences
			want := int64(0)
			for _, n := range lengths {
				if n >= b.From && n <= b.To {
					want++
				}
			}
			if b.Sequences != want || i > 0 && b.From != got[i-1].To+1 {
				t.Errorf("up to %d: bucket %+v has %d sequences, want %d", longest, b, b.Sequences, want)
			}
		}
		if sum != 500 || len(got) > maxBuckets || got[0].Sequences == 0 || got[len(got)-1].Sequences == 0 {
			t.Errorf("up to %d: %d sequences in %+v", longest, sum, got)
		}
		if h.total.Shortest != slices.Min(lengths) || h.total.Longest != slices.Max(lengths) || h.total.Sequences != 500 {
			t.Errorf("up to %d: %+v", longest, h.total)
		}
	}
	if got := (&histogram{}).result(); got != nil || (Lengths{}).Mean() != 0 {
		t.Errorf("without lengths: %+v", got)
	}
}
