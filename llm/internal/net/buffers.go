package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// buffers makes buffers large enough. With sizes it makes none, and notes how large each
// would become: what a step takes is counted by the code that makes it.
type buffers struct{ sizes map[*[]float32]int }

// each makes room for n numbers in each buffer.
func (r buffers) each(n int, each ...*[]float32) {
	for _, b := range each {
		if r.sizes != nil {
			r.sizes[b] = max(r.sizes[b], n)
		} else {
			*b = grow(*b, n)
		}
	}
}

// atLeast makes room for n numbers in a buffer that may have to be larger for another one
// who has it, too.
func (r buffers) atLeast(n int, b *[]float32) { r.each(max(n, len(*b)), b) }

// bytes is how much memory the buffers that were counted take.
func (r buffers) bytes() int64 {
	const number, line = 4, 64
	sum := int64(0)
	for _, n := range r.sizes {
		if n > 0 {
			sum += number*int64(n) + line
		}
	}
	return sum
}

// Size is that of a batch, or the largest of several.
type Size struct {
	Tokens, Longest int // of all rows, and of the longest one
	Counted         int // tokens that count in the loss
}

// largest are the buffers of the largest batches of a training, and of its validation.
func (t *Trainer) largest(training, validation Size) buffers {
	r := buffers{sizes: map[*[]float32]int{}}
	t.learning = true
	t.reserve(r, training)
	if validation.Tokens > 0 {
		t.learning = false
		t.reserve(r, validation)
	}
	return r
}

// Reserve makes the buffers for the largest batches of a training, and of its validation,
// so that none is made a second time for a larger batch.
func (t *Trainer) Reserve(training, validation Size) {
	for b, n := range t.largest(training, validation).sizes {
		*b = grow(*b, n)
	}
	t.reserveRest(Size{Longest: max(training.Longest, validation.Longest), Counted: max(training.Counted, validation.Counted)})
}

// reserveRest makes room in what has buffers of its own.
func (t *Trainer) reserveRest(s Size) {
	for i := range t.rotary {
		t.rotary[i].Reach(s.Longest)
	}
	t.vocabulary.make(s.Counted)
	for i := range t.worker {
		t.worker[i].scratch.Reserve(t.turned(s.Longest))
	}
}

// Bytes is how much memory a training takes for such batches beside its weights, and their
// gradients. Of the weights that a network does not have it need only have those of norms
// and magnitudes.
func (t *Trainer) Bytes(training, validation Size) int64 {
	sum, longest := t.largest(training, validation).bytes(), max(training.Longest, validation.Longest)
	for i := range t.rotary {
		sum += t.rotary[i].BytesFor(longest)
	}
	const ofToken, ofLoss = 4 + 4 + 8 + 4, 8 // see batch and vocabulary
	sum += ofToken*int64(max(training.Tokens, validation.Tokens)) + ofLoss*int64(max(training.Counted, validation.Counted))
	return sum + int64(len(t.worker))*int64(kernel.ScratchBytes(t.turned(longest)))
}

// turned is how many rows the largest matrix has that a goroutine turns: a share of the
// outputs of a projection, or the tokens of a row.
func (t *Trainer) turned(longest int) int {
	c := t.net.Shape
	return max(longest, (max(c.Intermediate, c.Hidden, c.queries(), c.Vocab)+len(t.worker)-1)/len(t.worker))
}

// reserveWorkers makes the buffers that goroutines have of their own.
func (t *Trainer) reserveWorkers(r buffers, s Size) {
	c := t.net.Shape
	share := func(n, step int) int { // the largest one of a goroutine
		units := (n + step - 1) / step
		return min(n, (units+len(t.worker)-1)/len(t.worker)*step)
	}
	rows, dropped, whole := share(s.Tokens, 12), 0, 0
	for l := range t.net.Layers {
		for _, p := range t.net.Layers[l].linears() {
			if p.Magnitude.Data != nil {
				dropped = max(dropped, measured(p.In))
			}
			if t.drops() && p.Rank > 0 {
				dropped = max(dropped, rows*p.In, s.Tokens*share(p.In, 32))
				if p.Magnitude.Data != nil {
					whole = max(whole, rows*p.Out)
				}
			}
		}
	}
	if t.net.changesGiven() {
		whole = max(whole, c.Hidden)
	}
	if c.LogitCap != 0 {
		whole = max(whole, c.Vocab)
	}
	if c.ScoreCap != 0 {
		whole = max(whole, s.Longest)
	}
	for i := range t.worker {
		w := &t.worker[i]
		r.each(queryBlock*up16(s.Longest), &w.scores)
		if t.learning {
			r.each(queryBlock*up16(s.Longest), &w.gradients)
		}
		r.atLeast(dropped, &w.dropped)
		r.atLeast(whole, &w.whole)
	}
}
