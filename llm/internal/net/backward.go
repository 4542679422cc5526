package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// backward goes back from the gradients of what the last norm gave, in dNormed.
func (w *worker) backward() {
	c := w.t.net.Shape
	clear(w.rows.of(w.t.dX, c.Hidden))
	w.normBack(w.t.dX, w.t.dNormed, w.t.last, w.t.net.Norm, w.t.roots, w.rows)
	w.t.crew.meet()
	w.learnNorm(w.t.net.Norm, w.t.dNormed, w.t.last, w.t.roots, w.t.tokens())
	for l := len(w.t.net.Layers) - 1; l >= 0; l-- {
		w.layerBack(l)
	}
	if w.t.net.Embed.Grad == nil {
		return
	}
	w.t.crew.meet()
	from, to := w.t.crew.share(c.Hidden, 16, w.who)
	for r, id := range w.t.batch.ids {
		at := int(id) * c.Hidden
		kernel.Add(w.t.net.Embed.Grad[at+from:at+to], w.t.dX[r*c.Hidden+from:r*c.Hidden+to])
	}
}

// layerBack goes back through a layer: from dX, the gradients of what it gives,
// to those of what it was given.
func (w *worker) layerBack(l int) {
	c, layer, y := w.t.net.Shape, &w.t.net.Layers[l], w.t.keep(l)
	w.t.projection(l, atDown).back(w, w.t.dX, w.t.dThrough, false)
	kernel.GateBack(w.rows.of(w.t.dGate, c.Intermediate), w.rows.of(w.t.dThrough, c.Intermediate), w.rows.of(w.t.through, c.Intermediate),
		w.rows.of(y.gate, c.Intermediate), w.rows.of(y.up, c.Intermediate)) // dThrough now has the gradients of Up
	w.t.projection(l, atGate).back(w, w.t.dGate, w.t.dMiddleNormed, false)
	w.t.projection(l, atUp).back(w, w.t.dThrough, w.t.dMiddleNormed, true)
	copy(w.rows.of(w.t.dMiddle, c.Hidden), w.rows.of(w.t.dX, c.Hidden))
	w.normBack(w.t.dMiddle, w.t.dMiddleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.rows)
	w.t.projection(l, atO).back(w, w.t.dMiddle, w.t.dAttended, false)
	if w.who == 0 {
		w.t.next.Store(0)
	}
	w.t.crew.meet() // attention looks at rows of others
	for row, kv, ok := w.task(); ok; row, kv, ok = w.task() {
		attention{w, y, row, kv}.back()
	}
	w.t.crew.meet()
	dQ, dK := w.turnBack(y, layer)
	below := l > 0 || w.t.net.Embed.Grad != nil // something below learns
	dNormed := w.t.dNormed
	if !below && layer.AttentionNorm.Grad == nil {
		dNormed = nil
	}
	w.t.projection(l, atQ).back(w, dQ, dNormed, false)
	w.t.projection(l, atK).back(w, dK, dNormed, true)
	w.t.projection(l, atV).back(w, w.t.dV, dNormed, true)
	w.norm(w.t.normed, y.x, layer.AttentionNorm, y.roots, w.rows) // once more, instead of keeping them
	w.norm(w.t.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.rows)
	w.t.crew.meet() // the weights learn from all rows
	w.t.projection(l, atDown).learn(w, w.t.dX, w.t.through)
	w.t.projection(l, atGate).learn(w, w.t.dGate, w.t.middleNormed)
	w.t.projection(l, atUp).learn(w, w.t.dThrough, w.t.middleNormed)
	w.t.projection(l, atO).learn(w, w.t.dMiddle, y.attended)
	w.t.projection(l, atQ).learn(w, dQ, w.t.normed)
	w.t.projection(l, atK).learn(w, dK, w.t.normed)
	w.t.projection(l, atV).learn(w, w.t.dV, w.t.normed)
	w.learnNorm(layer.MLPNorm, w.t.dMiddleNormed, y.middle, y.middleRoots, w.t.tokens())
	w.learnNorm(layer.AttentionNorm, w.t.dNormed, y.x, y.roots, w.t.tokens())
	if w.t.headNorms() {
		w.learnNorm(layer.QNorm, w.t.dQ, y.rawQ, y.rootsQ, w.t.tokens()*c.Heads)
		w.learnNorm(layer.KNorm, w.t.dK, y.rawK, y.rootsK, w.t.tokens()*c.KVHeads)
	}
	w.t.crew.meet()
	if below {
		copy(w.rows.of(w.t.dX, c.Hidden), w.rows.of(w.t.dMiddle, c.Hidden))
		w.normBack(w.t.dX, w.t.dNormed, y.x, layer.AttentionNorm, y.roots, w.rows)
	}
}

// turnBack turns the gradients of queries and keys back, and goes back through
// the norms of their heads, where there are any.
func (w *worker) turnBack(y *activations, layer *Layer) (dQ, dK []float32) {
	c := w.t.net.Shape
	for r := w.rows.from; r < w.rows.to; r++ {
		at := int(w.t.batch.positions[r])
		w.t.rotary.turnBack(w.t.dQ[r*c.queries():(r+1)*c.queries()], at)
		w.t.rotary.turnBack(w.t.dK[r*c.keys():(r+1)*c.keys()], at)
	}
	if !w.t.headNorms() {
		return w.t.dQ, w.t.dK
	}
	clear(w.rows.of(w.t.dRawQ, c.queries()))
	clear(w.rows.of(w.t.dRawK, c.keys()))
	w.normBack(w.t.dRawQ, w.t.dQ, y.rawQ, layer.QNorm, y.rootsQ, w.rows.times(c.Heads))
	w.normBack(w.t.dRawK, w.t.dK, y.rawK, layer.KNorm, y.rootsK, w.rows.times(c.KVHeads))
	return w.t.dRawQ, w.t.dRawK
}

// normBack adds to dX what the gradients dY of a norm mean for its input.
func (w *worker) normBack(dX, dY, x []float32, norm Weight, roots []float32, s span) {
	n := len(norm.Data)
	for r := s.from; r < s.to; r++ {
		kernel.NormBack(dX[r*n:(r+1)*n], dY[r*n:(r+1)*n], x[r*n:(r+1)*n], norm.Data, roots[r])
	}
}

// learnNorm adds the gradients of a norm's weight, a worker's share of its
// columns, over all rows.
func (w *worker) learnNorm(norm Weight, dY, x, roots []float32, rows int) {
	if norm.Grad == nil {
		return
	}
	n := len(norm.Data)
	from, to := w.t.crew.share(n, 16, w.who)
	for r := range rows {
		kernel.NormWeight(norm.Grad[from:to], dY[r*n+from:r*n+to], x[r*n+from:r*n+to], roots[r])
	}
}
