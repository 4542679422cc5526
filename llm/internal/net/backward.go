package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// backward goes back from the gradients of what the last norm gave, in dNormed.
func (w *worker) backward() {
	c := w.net.Shape
	clear(w.of(w.dX, c.Hidden))
	w.normBack(w.dX, w.dNormed, w.last, w.net.Norm, w.roots, w.span)
	w.crew.meet()
	w.learnNorm(w.net.Norm, w.dNormed, w.last, w.roots, w.tokens())
	for l := len(w.net.Layers) - 1; l >= 0; l-- {
		w.layerBack(l)
	}
	if w.net.Embed.Grad == nil {
		return
	}
	w.crew.meet()
	from, to := w.crew.share(c.Hidden, 16, w.who)
	for r, id := range w.batch.ids {
		at := int(id) * c.Hidden
		kernel.Add(w.net.Embed.Grad[at+from:at+to], w.dX[r*c.Hidden+from:r*c.Hidden+to])
	}
}

// layerBack goes back through a layer: from dX, the gradients of what it gives,
// to those of what it was given.
func (w *worker) layerBack(l int) {
	c, layer, y := w.net.Shape, &w.net.Layers[l], w.keep(l)
	w.projection(l, atDown).back(w, w.dX, w.dThrough, false)
	kernel.GateBack(w.of(w.dGate, c.Intermediate), w.of(w.dThrough, c.Intermediate), w.of(w.through, c.Intermediate),
		w.of(y.gate, c.Intermediate), w.of(y.up, c.Intermediate)) // dThrough now has the gradients of Up
	w.projection(l, atGate).back(w, w.dGate, w.dMiddleNormed, false)
	w.projection(l, atUp).back(w, w.dThrough, w.dMiddleNormed, true)
	copy(w.of(w.dMiddle, c.Hidden), w.of(w.dX, c.Hidden))
	w.normBack(w.dMiddle, w.dMiddleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.span)
	w.projection(l, atO).back(w, w.dMiddle, w.dAttended, false)
	if w.who == 0 {
		w.next.Store(0)
	}
	w.crew.meet() // attention looks at rows of others
	for row, kv, ok := w.task(); ok; row, kv, ok = w.task() {
		attention{w, y, row, kv}.back()
	}
	w.crew.meet()
	dQ, dK := w.turnBack(y, layer)
	below := l > 0 || w.net.Embed.Grad != nil // something below learns
	dNormed := w.dNormed
	if !below && layer.AttentionNorm.Grad == nil {
		dNormed = nil
	}
	w.projection(l, atQ).back(w, dQ, dNormed, false)
	w.projection(l, atK).back(w, dK, dNormed, true)
	w.projection(l, atV).back(w, w.dV, dNormed, true)
	w.norm(w.normed, y.x, layer.AttentionNorm, y.roots, w.span) // once more, instead of keeping them
	w.norm(w.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.span)
	w.crew.meet() // the weights learn from all rows
	w.projection(l, atDown).learn(w, w.dX, w.through)
	w.projection(l, atGate).learn(w, w.dGate, w.middleNormed)
	w.projection(l, atUp).learn(w, w.dThrough, w.middleNormed)
	w.projection(l, atO).learn(w, w.dMiddle, y.attended)
	w.projection(l, atQ).learn(w, dQ, w.normed)
	w.projection(l, atK).learn(w, dK, w.normed)
	w.projection(l, atV).learn(w, w.dV, w.normed)
	w.learnNorm(layer.MLPNorm, w.dMiddleNormed, y.middle, y.middleRoots, w.tokens())
	w.learnNorm(layer.AttentionNorm, w.dNormed, y.x, y.roots, w.tokens())
	if w.headNorms() {
		w.learnNorm(layer.QNorm, w.dQ, y.rawQ, y.rootsQ, w.tokens()*c.Heads)
		w.learnNorm(layer.KNorm, w.dK, y.rawK, y.rootsK, w.tokens()*c.KVHeads)
	}
	w.crew.meet()
	if below {
		copy(w.of(w.dX, c.Hidden), w.of(w.dMiddle, c.Hidden))
		w.normBack(w.dX, w.dNormed, y.x, layer.AttentionNorm, y.roots, w.span)
	}
}

// turnBack turns the gradients of queries and keys back, and goes back through
// the norms of their heads, where there are any.
func (w *worker) turnBack(y *kept, layer *Layer) (dQ, dK []float32) {
	c := w.net.Shape
	for r := w.from; r < w.to; r++ {
		at := int(w.batch.positions[r])
		w.rotary.turnBack(w.dQ[r*c.queries():(r+1)*c.queries()], at)
		w.rotary.turnBack(w.dK[r*c.keys():(r+1)*c.keys()], at)
	}
	if !w.headNorms() {
		return w.dQ, w.dK
	}
	clear(w.of(w.dRawQ, c.queries()))
	clear(w.of(w.dRawK, c.keys()))
	w.normBack(w.dRawQ, w.dQ, y.rawQ, layer.QNorm, y.rootsQ, w.times(c.Heads))
	w.normBack(w.dRawK, w.dK, y.rawK, layer.KNorm, y.rootsK, w.times(c.KVHeads))
	return w.dRawQ, w.dRawK
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
	from, to := w.crew.share(n, 16, w.who)
	for r := range rows {
		kernel.NormWeight(norm.Grad[from:to], dY[r*n+from:r*n+to], x[r*n+from:r*n+to], roots[r])
	}
}
