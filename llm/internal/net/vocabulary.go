package net

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// vocabulary is the last projection, onto the vocabulary. It is made only for
// the places whose next token counts, so many of them at a time.
type vocabulary struct {
	chunk  int
	in, d  []float32 // [chunk, Hidden], what goes in and its gradients
	logits []float32 // [chunk, Vocab], and their gradients
	losses []float64 // of all places
}

// reserve makes the buffers of a chunk.
func (v *vocabulary) reserve(r buffers, c Shape) {
	v.chunk = min(max(1<<22/c.Vocab, 24), 256)
	r.each(v.chunk*c.Hidden, &v.in, &v.d)
	r.each(v.chunk*c.Vocab, &v.logits)
}

// make makes room for the losses of so many places.
func (v *vocabulary) make(places int) {
	if cap(v.losses) < places {
		v.losses = make([]float64, places)
	}
	v.losses = v.losses[:places]
}

// score computes the losses, and the gradients of what the last norm gave in
// dNormed, and adds those of the head.
func (w *worker) score() {
	t := w.t
	c, v, places := t.net.Shape, &t.vocabulary, t.batch.where
	if t.learning {
		clear(w.rows.of(t.dNormed, c.Hidden))
	}
	for at := 0; at < len(places); at += v.chunk {
		part := places[at:min(at+v.chunk, len(places))]
		t.crew.Meet() // all rows are there, and the chunk before is done
		a, b := t.crew.Share(len(part), 1, w.who)
		for i, r := range part[a:b] {
			copy(v.in[(a+i)*c.Hidden:(a+i+1)*c.Hidden], t.final[r*c.Hidden:])
		}
		t.crew.Meet()
		from, to := t.crew.Share(c.Vocab, 32, w.who)
		logits, in := kernel.Rows(v.logits, c.Vocab), kernel.Rows(v.in, c.Hidden)
		t.net.Head.product(&w.scratch, logits, in, len(part), from, to, c.Hidden, false)
		t.crew.Meet()
		for i := a; i < b; i++ {
			v.losses[at+i] = w.loss(v.logits[i*c.Vocab:(i+1)*c.Vocab], t.batch.targets[at+i])
		}
		if !t.learning {
			continue
		}
		t.crew.Meet()
		if t.net.Head.Grad != nil {
			w.scratch.Product(kernel.Rows(t.net.Head.Grad, c.Hidden).From(from, 0), logits.From(0, from).T(), in, to-from, c.Hidden, len(part), true)
		}
		from, to = t.crew.Share(c.Hidden, 32, w.who)
		t.net.Head.back(&w.scratch, kernel.Rows(v.d, c.Hidden), logits, len(part), from, to, c.Vocab, c.Hidden, false)
		t.crew.Meet()
		for i, r := range part {
			if w.rows.from <= r && r < w.rows.to {
				copy(t.dNormed[r*c.Hidden:(r+1)*c.Hidden], v.d[i*c.Hidden:])
			}
		}
	}
}

// loss is the negative log likelihood of a token by what the head gave, and leaves
// the gradients of that in its place.
func (w *worker) loss(x []float32, token int32) float64 {
	c := w.t.net.Shape
	c.finish(x)
	if c.LogitCap != 0 {
		w.whole = append(w.whole[:0], x...)
	}
	out := loss(x, token)
	cappedBack(x, w.whole, 1, c.LogitCap)
	scale(x, c.LogitScale)
	return out
}

// finish makes logits of what the head gives.
func (s Shape) finish(x []float32) {
	scale(x, s.LogitScale)
	capped(x, 1, s.LogitCap)
}

// loss is the negative log likelihood of a token, and leaves the gradients of
// the logits in their place.
func loss(logits []float32, token int32) float64 {
	z := logits[token]
	top := kernel.Max(logits)
	sum := kernel.ExpSum(logits, 1, -top)
	kernel.Scale(logits, 1/sum)
	logits[token]--
	return float64(top) + math.Log(float64(sum)) - float64(z)
}
