package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// forward runs the layers over some rows.
func (w *worker) forward() {
	c := w.t.net.Shape
	x := w.t.keep(0).x
	for r := w.rows.from; r < w.rows.to; r++ {
		id := int(w.t.batch.ids[r])
		copy(x[r*c.Hidden:(r+1)*c.Hidden], w.t.net.Embed.Data[id*c.Hidden:])
	}
	for l := range w.t.net.Layers {
		layer, y := &w.t.net.Layers[l], w.t.keep(l)
		w.norm(w.t.normed, y.x, layer.AttentionNorm, y.roots, w.rows)
		w.queriesAndKeys(l)
		if w.who == 0 {
			w.t.next.Store(0)
		}
		w.t.crew.meet() // attention looks at rows of others
		for row, kv, ok := w.task(); ok; row, kv, ok = w.task() {
			attention{w, y, row, kv}.forward()
		}
		w.t.crew.meet()
		copy(w.rows.of(y.middle, c.Hidden), w.rows.of(y.x, c.Hidden))
		w.t.projection(l, atO).forward(w, y.attended, y.middle, true)
		w.norm(w.t.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.rows)
		w.t.projection(l, atGate).forward(w, w.t.middleNormed, y.gate, false)
		w.t.projection(l, atUp).forward(w, w.t.middleNormed, y.up, false)
		kernel.Gate(w.rows.of(w.t.through, c.Intermediate), w.rows.of(y.gate, c.Intermediate), w.rows.of(y.up, c.Intermediate))
		out := w.t.last
		if l+1 < len(w.t.net.Layers) {
			out = w.t.keep(l + 1).x
		}
		copy(w.rows.of(out, c.Hidden), w.rows.of(y.middle, c.Hidden))
		w.t.projection(l, atDown).forward(w, w.t.through, out, true)
	}
	w.norm(w.t.final, w.t.last, w.t.net.Norm, w.t.roots, w.rows)
}

// queriesAndKeys computes queries, keys and values, and turns them to their
// positions.
func (w *worker) queriesAndKeys(l int) {
	c, y, layer := w.t.net.Shape, w.t.keep(l), &w.t.net.Layers[l]
	q, k := y.q, y.k
	if w.t.headNorms() {
		q, k = y.rawQ, y.rawK
	}
	w.t.projection(l, atQ).forward(w, w.t.normed, q, false)
	w.t.projection(l, atK).forward(w, w.t.normed, k, false)
	w.t.projection(l, atV).forward(w, w.t.normed, y.v, false)
	if w.t.headNorms() {
		w.norm(y.q, y.rawQ, layer.QNorm, y.rootsQ, w.rows.times(c.Heads))
		w.norm(y.k, y.rawK, layer.KNorm, y.rootsK, w.rows.times(c.KVHeads))
	}
	for r := w.rows.from; r < w.rows.to; r++ {
		at := int(w.t.batch.positions[r])
		w.t.rotary.turn(y.q[r*c.queries():(r+1)*c.queries()], at)
		w.t.rotary.turn(y.k[r*c.keys():(r+1)*c.keys()], at)
	}
}

// norm normalises rows that are as long as the norm's weight.
func (w *worker) norm(y, x []float32, norm Weight, roots []float32, s span) {
	n := len(norm.Data)
	for r := s.from; r < s.to; r++ {
		roots[r] = kernel.Norm(y[r*n:(r+1)*n], x[r*n:(r+1)*n], norm.Data, w.t.net.Shape.Epsilon)
	}
}
