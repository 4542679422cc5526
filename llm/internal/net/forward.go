package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// forward runs the layers over some rows.
func (t *Trainer) forward(m *member, who int, s span) {
	c := t.net.Shape
	x := t.keep(0).x
	for r := s.from; r < s.to; r++ {
		id := int(t.batch.ids[r])
		copy(x[r*c.Hidden:(r+1)*c.Hidden], t.net.Embed.Data[id*c.Hidden:])
	}
	for l := range t.net.Layers {
		layer, y := &t.net.Layers[l], t.keep(l)
		t.norm(t.normed, y.x, layer.AttentionNorm, y.roots, s)
		t.queriesAndKeys(m, l, s)
		if who == 0 {
			t.next.Store(0)
		}
		t.crew.meet() // attention looks at rows of others
		for row, kv, ok := t.task(); ok; row, kv, ok = t.task() {
			t.attend(m, y, row, kv)
		}
		t.crew.meet()
		copy(s.of(y.middle, c.Hidden), s.of(y.x, c.Hidden))
		t.project(m, t.projection(l, atO), y.attended, y.middle, s, true)
		t.norm(t.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, s)
		t.project(m, t.projection(l, atGate), t.middleNormed, y.gate, s, false)
		t.project(m, t.projection(l, atUp), t.middleNormed, y.up, s, false)
		kernel.Gate(s.of(t.through, c.Intermediate), s.of(y.gate, c.Intermediate), s.of(y.up, c.Intermediate))
		out := t.last
		if l+1 < len(t.net.Layers) {
			out = t.keep(l + 1).x
		}
		copy(s.of(out, c.Hidden), s.of(y.middle, c.Hidden))
		t.project(m, t.projection(l, atDown), t.through, out, s, true)
	}
	t.norm(t.final, t.last, t.net.Norm, t.roots, s)
}

// queriesAndKeys computes queries, keys and values, and turns them to their
// positions.
func (t *Trainer) queriesAndKeys(m *member, l int, s span) {
	c, y, layer := t.net.Shape, t.keep(l), &t.net.Layers[l]
	q, k := y.q, y.k
	if t.headNorms() {
		q, k = y.rawQ, y.rawK
	}
	t.project(m, t.projection(l, atQ), t.normed, q, s, false)
	t.project(m, t.projection(l, atK), t.normed, k, s, false)
	t.project(m, t.projection(l, atV), t.normed, y.v, s, false)
	if t.headNorms() {
		t.norm(y.q, y.rawQ, layer.QNorm, y.rootsQ, s.times(c.Heads))
		t.norm(y.k, y.rawK, layer.KNorm, y.rootsK, s.times(c.KVHeads))
	}
	for r := s.from; r < s.to; r++ {
		at := int(t.batch.positions[r])
		t.rotary.turn(y.q[r*c.queries():(r+1)*c.queries()], at)
		t.rotary.turn(y.k[r*c.keys():(r+1)*c.keys()], at)
	}
}

// norm normalises rows that are as long as the norm's weight.
func (t *Trainer) norm(y, x []float32, w Weight, roots []float32, s span) {
	n := len(w.Data)
	for r := s.from; r < s.to; r++ {
		roots[r] = kernel.Norm(y[r*n:(r+1)*n], x[r*n:(r+1)*n], w.Data, t.net.Shape.Epsilon)
	}
}
