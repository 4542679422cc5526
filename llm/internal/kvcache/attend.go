package kvcache

import "github.com/tunebus/tunebus/llm/internal/kernel"

// Attention says how a layer attends.
type Attention struct {
	// Window is how many positions a token sees, its own among them; 0: all.
	Window int
	// Scale multiplies scores, and Cap bounds them, as cap·tanh(x/cap); 0: not at all.
	Scale, Cap float32
}

// first is the first position that a token at a position sees.
func (a Attention) first(position int) int {
	if a.Window == 0 {
		return 0
	}
	return max(0, position-a.Window+1)
}

// Scratch is what attention needs while it works. Each goroutine has one of its own. The
// zero value is ready to use.
type Scratch struct {
	kernel.Scratch
	scores []float32
}

// Attend is attention of n queries, of which the first sees so many positions, and each
// next one more by a step. The terms of each sum are added in the order of the
// positions, so that the blocks change nothing, and a position that a query does not see
// is none of them, whatever its values are.
func (h Head) Attend(s *Scratch, a Attention, q, out kernel.Matrix, n, seen, step int) {
	dim := h.cache.shape.HeadDim
	first := a.first(seen-1) &^ 15 // sums are made of sixteen parts
	end := seen + (n-1)*step
	width := (end - first + 15) &^ 15
	s.scores = kernel.Reuse(s.scores, n*width)
	scores := kernel.Rows(s.scores, width)
	for at := first; at < end; {
		keys, _, count := h.at(at, end)
		whole := (count + 15) &^ 15 // scores that Softmax takes no notice of cost less than columns that are copied
		s.Product(scores.From(0, at-first), q, keys, n, whole, dim, false)
		at += count
	}
	for i := range n {
		row, position, scale := s.scores[i*width:(i+1)*width], seen+i*step-1, a.Scale
		if a.Cap != 0 {
			kernel.Softcap(row[:position+1-first], 2*a.Scale/a.Cap, a.Cap)
			scale = 1
		}
		kernel.Softmax(row, a.first(position)-first, position+1-first, scale)
	}
	h.sum(s, out, scores, n, first, end)
	for i := range n {
		row, position := out.Data[i*out.Row:i*out.Row+dim], seen+i*step-1
		if size := kernel.Dot(row, row); size-size == 0 {
			continue
		}
		// A share of zero of a value that is no number is no number, too.
		from := a.first(position)
		h.sum(s, out.From(i, 0), scores.From(i, from-first), 1, from, position+1)
	}
}

// sum makes n rows of the values from one position to an end, of each so much as a row of
// shares says.
func (h Head) sum(s *Scratch, out, shares kernel.Matrix, n, from, end int) {
	for at := from; at < end; {
		_, values, count := h.at(at, end)
		s.Product(out, shares.From(0, at-from), values, n, h.cache.shape.HeadDim, count, at > from)
		at += count
	}
}
