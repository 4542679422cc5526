package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// backward goes back from the gradients of what the last norm gave, in dNormed.
func (w *worker) backward() {
	t, c := w.t, w.t.net.Shape
	clear(w.rows.of(t.dX, c.Hidden))
	w.normBack(t.dX, t.dNormed, t.last, t.net.Norm, t.roots, w.rows)
	t.crew.Meet()
	w.learnNorm(t.net.Norm, t.dNormed, t.last, t.roots, t.tokens())
	for l := len(t.net.Layers) - 1; l >= 0; l-- {
		if t.recompute {
			w.layer(l, t.last)
		}
		w.layerBack(l)
	}
	if t.net.Embed.Grad == nil {
		return
	}
	t.crew.Meet()
	from, to := t.crew.Share(c.Hidden, 16, w.who)
	for r, id := range t.batch.ids {
		at := int(id) * c.Hidden
		scale(t.dX[r*c.Hidden+from:r*c.Hidden+to], c.EmbedScale)
		kernel.Add(t.net.Embed.Grad[at+from:at+to], t.dX[r*c.Hidden+from:r*c.Hidden+to])
	}
}

// layerBack goes back through a layer: from dX, the gradients of what it gives,
// to those of what it was given.
func (w *worker) layerBack(l int) {
	t := w.t
	c, layer, y := t.net.Shape, &t.net.Layers[l], t.keep(l)
	dMLP := w.addBack(t.dX, y.mlp, layer.MLPPost, t.dMLP)
	t.projection(l, atDown).back(w, dMLP, t.dThrough, false)
	c.gateBack(w.rows.of(t.dGate, c.Intermediate), w.rows.of(t.dThrough, c.Intermediate), w.rows.of(t.through, c.Intermediate),
		w.rows.of(y.gate, c.Intermediate), w.rows.of(y.up, c.Intermediate)) // dThrough now has the gradients of Up
	t.projection(l, atGate).back(w, t.dGate, t.dMiddleNormed, false)
	t.projection(l, atUp).back(w, t.dThrough, t.dMiddleNormed, true)
	copy(w.rows.of(t.dMiddle, c.Hidden), w.rows.of(t.dX, c.Hidden))
	w.normBack(t.dMiddle, t.dMiddleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.rows)
	dAttention := w.addBack(t.dMiddle, y.attention, layer.AttentionPost, t.dAttention)
	t.projection(l, atO).back(w, dAttention, t.dAttended, false)
	if w.who == 0 {
		t.next.Store(0)
	}
	t.crew.Meet() // attention looks at rows of others
	for row, kv, ok := w.task(); ok; row, kv, ok = w.task() {
		attention{w, layer, y, row, kv}.back()
	}
	t.crew.Meet()
	dQ, dK := w.turnBack(y, layer)
	below := l > 0 || t.net.Embed.Grad != nil // something below learns
	dNormed := t.dNormed
	if !below && layer.AttentionNorm.Grad == nil {
		dNormed = nil
	}
	t.projection(l, atQ).back(w, dQ, dNormed, false)
	t.projection(l, atK).back(w, dK, dNormed, true)
	t.projection(l, atV).back(w, t.dV, dNormed, true)
	w.norm(t.normed, *t.input(l), layer.AttentionNorm, y.roots, w.rows) // once more, instead of keeping them
	w.norm(t.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.rows)
	t.crew.Meet() // the weights learn from all rows
	t.projection(l, atDown).learn(w, dMLP, t.through)
	t.projection(l, atGate).learn(w, t.dGate, t.middleNormed)
	t.projection(l, atUp).learn(w, t.dThrough, t.middleNormed)
	t.projection(l, atO).learn(w, dAttention, y.attended)
	t.projection(l, atQ).learn(w, dQ, t.normed)
	t.projection(l, atK).learn(w, dK, t.normed)
	t.projection(l, atV).learn(w, t.dV, t.normed)
	w.learnNorm(layer.MLPNorm, t.dMiddleNormed, y.middle, y.middleRoots, t.tokens())
	w.learnNorm(layer.AttentionNorm, t.dNormed, *t.input(l), y.roots, t.tokens())
	w.learnNorm(layer.MLPPost, t.dX, y.mlp.rows, y.mlp.roots, t.tokens())
	w.learnNorm(layer.AttentionPost, t.dMiddle, y.attention.rows, y.attention.roots, t.tokens())
	if t.net.headNorms() {
		w.learnNorm(layer.QNorm, t.dQ, y.rawQ, y.rootsQ, t.tokens()*together(c.queries(), layer.QNorm))
		w.learnNorm(layer.KNorm, t.dK, y.rawK, y.rootsK, t.tokens()*together(c.keys(), layer.KNorm))
	}
	t.crew.Meet()
	if below {
		copy(w.rows.of(t.dX, c.Hidden), w.rows.of(t.dMiddle, c.Hidden))
		w.normBack(t.dX, t.dNormed, *t.input(l), layer.AttentionNorm, y.roots, w.rows)
	}
}

// turnBack turns the gradients of queries and keys back, and goes back through
// the norms of their heads, where there are any.
func (w *worker) turnBack(y *activations, layer *Layer) (dQ, dK []float32) {
	t, c := w.t, w.t.net.Shape
	if layer.Rotary >= 0 {
		turns := &t.rotary[layer.Rotary]
		for r := w.rows.from; r < w.rows.to; r++ {
			at := int(t.batch.positions[r])
			turns.TurnBack(t.dQ[r*c.queries():(r+1)*c.queries()], at)
			turns.TurnBack(t.dK[r*c.keys():(r+1)*c.keys()], at)
		}
	}
	if !t.net.headNorms() {
		return t.dQ, t.dK
	}
	clear(w.rows.of(t.dRawQ, c.queries()))
	clear(w.rows.of(t.dRawK, c.keys()))
	w.normBack(t.dRawQ, t.dQ, y.rawQ, layer.QNorm, y.rootsQ, w.rows.times(together(c.queries(), layer.QNorm)))
	w.normBack(t.dRawK, t.dK, y.rawK, layer.KNorm, y.rootsK, w.rows.times(together(c.keys(), layer.KNorm)))
	return t.dRawQ, t.dRawK
}

// addBack goes back through add: from d, the gradients of what it made, come those
// of what the projection gave. They are d, or lie in to.
func (w *worker) addBack(d []float32, g given, post Weight, to []float32) []float32 {
	if !w.t.net.changesGiven() {
		return d
	}
	rows := w.rows.of(to, w.t.net.Shape.Hidden)
	if post.Data != nil {
		clear(rows)
		w.normBack(to, d, g.rows, post, g.roots, w.rows)
		return to
	}
	copy(rows, w.rows.of(d, w.t.net.Shape.Hidden))
	scale(rows, w.t.net.Shape.ResidualScale)
	return to
}

// normBack adds to dX what the gradients dY of a norm mean for its input.
func (w *worker) normBack(dX, dY, x []float32, norm Weight, roots []float32, s span) {
	n := len(norm.Data)
	if norm.Data == nil {
		n = w.t.net.Shape.Hidden
		kernel.Add(s.of(dX, n), s.of(dY, n))
		return
	}
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
	from, to := w.t.crew.Share(n, 16, w.who)
	for r := range rows {
		kernel.NormWeight(norm.Grad[from:to], dY[r*n+from:r*n+to], x[r*n+from:r*n+to], roots[r])
	}
}
