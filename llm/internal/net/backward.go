package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// backward goes back from the gradients of what the last norm gave, in dNormed.
func (t *Trainer) backward(m *member, who int, s span) {
	c := t.net.Shape
	clear(s.of(t.dX, c.Hidden))
	t.normBack(t.dX, t.dNormed, t.last, t.net.Norm, t.roots, s)
	t.crew.meet()
	t.learnNorm(who, t.net.Norm, t.dNormed, t.last, t.roots, t.rows())
	for l := len(t.net.Layers) - 1; l >= 0; l-- {
		t.layerBack(m, who, l, s)
	}
	if t.net.Embed.Grad == nil {
		return
	}
	t.crew.meet()
	from, to := t.crew.share(c.Hidden, 16, who)
	for r, id := range t.batch.ids {
		at := int(id) * c.Hidden
		kernel.Add(t.net.Embed.Grad[at+from:at+to], t.dX[r*c.Hidden+from:r*c.Hidden+to])
	}
}

// layerBack goes back through a layer: from dX, the gradients of what it gives,
// to those of what it was given.
func (t *Trainer) layerBack(m *member, who, l int, s span) {
	c, layer, y := t.net.Shape, &t.net.Layers[l], t.keep(l)
	t.projectBack(m, t.projection(l, atDown), t.dX, t.dThrough, s, false)
	kernel.GateBack(s.of(t.dGate, c.Intermediate), s.of(t.dThrough, c.Intermediate), s.of(t.through, c.Intermediate),
		s.of(y.gate, c.Intermediate), s.of(y.up, c.Intermediate)) // dThrough now has the gradients of Up
	t.projectBack(m, t.projection(l, atGate), t.dGate, t.dMiddleNormed, s, false)
	t.projectBack(m, t.projection(l, atUp), t.dThrough, t.dMiddleNormed, s, true)
	copy(s.of(t.dMiddle, c.Hidden), s.of(t.dX, c.Hidden))
	t.normBack(t.dMiddle, t.dMiddleNormed, y.middle, layer.MLPNorm, y.middleRoots, s)
	t.projectBack(m, t.projection(l, atO), t.dMiddle, t.dAttended, s, false)
	if who == 0 {
		t.next.Store(0)
	}
	t.crew.meet() // attention looks at rows of others
	for row, kv, ok := t.task(); ok; row, kv, ok = t.task() {
		t.attendBack(m, y, row, kv)
	}
	t.crew.meet()
	dQ, dK := t.turnBack(y, layer, s)
	below := l > 0 || t.net.Embed.Grad != nil // something below learns
	dNormed := t.dNormed
	if !below && layer.AttentionNorm.Grad == nil {
		dNormed = nil
	}
	t.projectBack(m, t.projection(l, atQ), dQ, dNormed, s, false)
	t.projectBack(m, t.projection(l, atK), dK, dNormed, s, true)
	t.projectBack(m, t.projection(l, atV), t.dV, dNormed, s, true)
	t.norm(t.normed, y.x, layer.AttentionNorm, y.roots, s) // once more, instead of keeping them
	t.norm(t.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, s)
	t.crew.meet() // the weights learn from all rows
	t.learn(m, who, t.projection(l, atDown), t.dX, t.through)
	t.learn(m, who, t.projection(l, atGate), t.dGate, t.middleNormed)
	t.learn(m, who, t.projection(l, atUp), t.dThrough, t.middleNormed)
	t.learn(m, who, t.projection(l, atO), t.dMiddle, y.attended)
	t.learn(m, who, t.projection(l, atQ), dQ, t.normed)
	t.learn(m, who, t.projection(l, atK), dK, t.normed)
	t.learn(m, who, t.projection(l, atV), t.dV, t.normed)
	t.learnNorm(who, layer.MLPNorm, t.dMiddleNormed, y.middle, y.middleRoots, t.rows())
	t.learnNorm(who, layer.AttentionNorm, t.dNormed, y.x, y.roots, t.rows())
	if t.headNorms() {
		t.learnNorm(who, layer.QNorm, t.dQ, y.rawQ, y.rootsQ, t.rows()*c.Heads)
		t.learnNorm(who, layer.KNorm, t.dK, y.rawK, y.rootsK, t.rows()*c.KVHeads)
	}
	t.crew.meet()
	if below {
		copy(s.of(t.dX, c.Hidden), s.of(t.dMiddle, c.Hidden))
		t.normBack(t.dX, t.dNormed, y.x, layer.AttentionNorm, y.roots, s)
	}
}

// turnBack turns the gradients of queries and keys back, and goes back through
// the norms of their heads, where there are any.
func (t *Trainer) turnBack(y *kept, layer *Layer, s span) (dQ, dK []float32) {
	c := t.net.Shape
	for r := s.from; r < s.to; r++ {
		at := int(t.batch.positions[r])
		t.rotary.turnBack(t.dQ[r*c.queries():(r+1)*c.queries()], at)
		t.rotary.turnBack(t.dK[r*c.keys():(r+1)*c.keys()], at)
	}
	if !t.headNorms() {
		return t.dQ, t.dK
	}
	clear(s.of(t.dRawQ, c.queries()))
	clear(s.of(t.dRawK, c.keys()))
	t.normBack(t.dRawQ, t.dQ, y.rawQ, layer.QNorm, y.rootsQ, s.times(c.Heads))
	t.normBack(t.dRawK, t.dK, y.rawK, layer.KNorm, y.rootsK, s.times(c.KVHeads))
	return t.dRawQ, t.dRawK
}

// normBack adds to dX what the gradients dY of a norm mean for its input.
func (t *Trainer) normBack(dX, dY, x []float32, w Weight, roots []float32, s span) {
	n := len(w.Data)
	for r := s.from; r < s.to; r++ {
		kernel.NormBack(dX[r*n:(r+1)*n], dY[r*n:(r+1)*n], x[r*n:(r+1)*n], w.Data, roots[r])
	}
}

// learnNorm adds the gradients of a norm's weight, a member's share of its
// columns, over all rows.
func (t *Trainer) learnNorm(who int, w Weight, dY, x, roots []float32, rows int) {
	if w.Grad == nil {
		return
	}
	n := len(w.Data)
	from, to := t.crew.share(n, 16, who)
	for r := range rows {
		kernel.NormWeight(w.Grad[from:to], dY[r*n+from:r*n+to], x[r*n+from:r*n+to], roots[r])
	}
}
