package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// forward runs the layers over some rows.
func (w *worker) forward() {
	c := w.net.Shape
	x := w.keep(0).x
	for r := w.from; r < w.to; r++ {
		id := int(w.batch.ids[r])
		copy(x[r*c.Hidden:(r+1)*c.Hidden], w.net.Embed.Data[id*c.Hidden:])
	}
	for l := range w.net.Layers {
		layer, y := &w.net.Layers[l], w.keep(l)
		w.norm(w.normed, y.x, layer.AttentionNorm, y.roots, w.span)
		w.queriesAndKeys(l)
		if w.who == 0 {
			w.next.Store(0)
		}
		w.crew.meet() // attention looks at rows of others
		for row, kv, ok := w.task(); ok; row, kv, ok = w.task() {
			attention{w, y, row, kv}.forward()
		}
		w.crew.meet()
		copy(w.of(y.middle, c.Hidden), w.of(y.x, c.Hidden))
		w.projection(l, atO).forward(w, y.attended, y.middle, true)
		w.norm(w.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.span)
		w.projection(l, atGate).forward(w, w.middleNormed, y.gate, false)
		w.projection(l, atUp).forward(w, w.middleNormed, y.up, false)
		kernel.Gate(w.of(w.through, c.Intermediate), w.of(y.gate, c.Intermediate), w.of(y.up, c.Intermediate))
		out := w.last
		if l+1 < len(w.net.Layers) {
			out = w.keep(l + 1).x
		}
		copy(w.of(out, c.Hidden), w.of(y.middle, c.Hidden))
		w.projection(l, atDown).forward(w, w.through, out, true)
	}
	w.norm(w.final, w.last, w.net.Norm, w.roots, w.span)
}

// queriesAndKeys computes queries, keys and values, and turns them to their
// positions.
func (w *worker) queriesAndKeys(l int) {
	c, y, layer := w.net.Shape, w.keep(l), &w.net.Layers[l]
	q, k := y.q, y.k
	if w.headNorms() {
		q, k = y.rawQ, y.rawK
	}
	w.projection(l, atQ).forward(w, w.normed, q, false)
	w.projection(l, atK).forward(w, w.normed, k, false)
	w.projection(l, atV).forward(w, w.normed, y.v, false)
	if w.headNorms() {
		w.norm(y.q, y.rawQ, layer.QNorm, y.rootsQ, w.times(c.Heads))
		w.norm(y.k, y.rawK, layer.KNorm, y.rootsK, w.times(c.KVHeads))
	}
	for r := w.from; r < w.to; r++ {
		at := int(w.batch.positions[r])
		w.rotary.turn(y.q[r*c.queries():(r+1)*c.queries()], at)
		w.rotary.turn(y.k[r*c.keys():(r+1)*c.keys()], at)
	}
}

// norm normalises rows that are as long as the norm's weight.
func (w *worker) norm(y, x []float32, norm Weight, roots []float32, s span) {
	n := len(norm.Data)
	for r := s.from; r < s.to; r++ {
		roots[r] = kernel.Norm(y[r*n:(r+1)*n], x[r*n:(r+1)*n], norm.Data, w.net.Shape.Epsilon)
	}
}
