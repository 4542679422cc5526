// Package packing puts rows into sequences of one length, so that few places of a
// batch stay empty.
package packing

import (
	"math/bits"
	"slices"
)

// together is how many rows are packed at once: those of TRL, which maps so many rows
// of a data set at a time.
const together = 1000

// BestFit puts rows of these lengths into sequences of so many tokens at most: the
// longest row first, each into the fullest sequence that it fits into. It
// returns the places of the rows of each sequence. A row that is longer, or empty, is
// alone. Source: TRL, pack_dataset with the strategy "bfd".
func BestFit(lengths []int, most int) [][]int32 {
	out := [][]int32{}
	for from := 0; from < len(lengths); from += together {
		out = append(out, bestFit(lengths[from:min(from+together, len(lengths))], from, most)...)
	}
	return out
}

// bestFit packs rows, of which the first one has the place first.
func bestFit(lengths []int, first, most int) [][]int32 {
	order := make([]int, len(lengths))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return min(lengths[b], most) - min(lengths[a], most) }) // TRL cuts rows first
	var out [][]int32
	open := spaces{sequences: map[int][]int{}, has: make([]uint64, most/64+1)}
	for _, i := range order {
		row, n := int32(first+i), lengths[i]
		if n <= 0 || n >= most {
			out = append(out, []int32{row})
			continue
		}
		if at, space, ok := open.take(n); ok {
			out[at] = append(out[at], row)
			open.put(at, space-n)
		} else {
			out = append(out, []int32{row})
			open.put(len(out)-1, most-n)
		}
	}
	return out
}

// spaces are sequences by the tokens that still fit into them.
type spaces struct {
	sequences map[int][]int // the one that waits longest first
	has       []uint64      // a bit for each space that there is
}

// put says that so many tokens still fit into a sequence.
func (s *spaces) put(sequence, space int) {
	if space > 0 {
		s.sequences[space] = append(s.sequences[space], sequence)
		s.has[space/64] |= 1 << (space % 64)
	}
}

// take returns a sequence with the least space that n tokens fit into.
func (s *spaces) take(n int) (sequence, space int, ok bool) {
	for word := n / 64; word < len(s.has); word++ {
		here := s.has[word]
		if word == n/64 {
			here &= ^uint64(0) << (n % 64)
		}
		if here == 0 {
			continue
		}
		space = word*64 + bits.TrailingZeros64(here)
		waiting := s.sequences[space]
		sequence, s.sequences[space] = waiting[0], waiting[1:]
		if len(waiting) == 1 {
			s.has[word] &^= 1 << (space % 64)
		}
		return sequence, space, true
	}
	return 0, 0, false
}
