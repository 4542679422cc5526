package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// forward runs the layers over some rows.
func (w *worker) forward() {
	t, c := w.t, w.t.net.Shape
	x := *t.input(0)
	for r := w.rows.from; r < w.rows.to; r++ {
		id := int(t.batch.ids[r])
		row := x[r*c.Hidden : (r+1)*c.Hidden]
		t.net.Embed.row(&w.scratch, row, id)
		scale(row, c.EmbedScale)
	}
	for l := range t.net.Layers {
		out := t.last
		if l+1 < len(t.net.Layers) {
			out = *t.input(l + 1)
		}
		w.layer(l, out)
	}
	w.norm(t.final, t.last, t.net.Norm, t.roots, w.rows)
}

// layer runs a layer.
func (w *worker) layer(l int, out []float32) {
	t, c := w.t, w.t.net.Shape
	layer, y, x := &t.net.Layers[l], t.keep(l), *t.input(l)
	w.norm(t.normed, x, layer.AttentionNorm, y.roots, w.rows)
	w.queriesAndKeys(l)
	if w.who == 0 {
		t.next.Store(0)
	}
	t.crew.Meet() // attention looks at rows of others
	for row, kv, ok := w.task(); ok; row, kv, ok = w.task() {
		attention{w, layer, y, row, kv}.forward()
	}
	t.crew.Meet()
	w.add(t.projection(l, atO), y.attended, y.attention, layer.AttentionPost, x, y.middle)
	w.norm(t.middleNormed, y.middle, layer.MLPNorm, y.middleRoots, w.rows)
	t.projection(l, atGate).forward(w, t.middleNormed, y.gate, false)
	t.projection(l, atUp).forward(w, t.middleNormed, y.up, false)
	c.gate(w.rows.of(t.through, c.Intermediate), w.rows.of(y.gate, c.Intermediate), w.rows.of(y.up, c.Intermediate))
	w.add(t.projection(l, atDown), t.through, y.mlp, layer.MLPPost, y.middle, out)
}

// add computes what the last projection of attention or of the MLP gives, and
// adds it to x, which gives y.
func (w *worker) add(p projection, in []float32, g given, post Weight, x, y []float32) {
	t, n := w.t, w.t.net.Shape.Hidden
	copy(w.rows.of(y, n), w.rows.of(x, n))
	if !t.net.changesGiven() {
		p.forward(w, in, y, true)
		return
	}
	p.forward(w, in, g.rows, false)
	w.whole = grow(w.whole, n)
	for r := w.rows.from; r < w.rows.to; r++ {
		if post.Data != nil {
			g.roots[r] = kernel.Norm(w.whole, g.rows[r*n:(r+1)*n], post.Data, t.net.Shape.Epsilon)
		} else {
			copy(w.whole, g.rows[r*n:])
			scale(w.whole, t.net.Shape.ResidualScale)
		}
		kernel.Add(y[r*n:(r+1)*n], w.whole)
	}
}

// queriesAndKeys computes queries, keys and values, and turns them to their
// positions.
func (w *worker) queriesAndKeys(l int) {
	t := w.t
	c, y, layer := t.net.Shape, t.keep(l), &t.net.Layers[l]
	q, k := y.q, y.k
	if t.net.headNorms() {
		q, k = y.rawQ, y.rawK
	}
	t.projection(l, atQ).forward(w, t.normed, q, false)
	t.projection(l, atK).forward(w, t.normed, k, false)
	t.projection(l, atV).forward(w, t.normed, y.v, false)
	if t.net.headNorms() {
		w.norm(y.q, y.rawQ, layer.QNorm, y.rootsQ, w.rows.times(together(c.queries(), layer.QNorm)))
		w.norm(y.k, y.rawK, layer.KNorm, y.rootsK, w.rows.times(together(c.keys(), layer.KNorm)))
	}
	if layer.Rotary < 0 {
		return
	}
	turns := &t.rotary[layer.Rotary]
	for r := w.rows.from; r < w.rows.to; r++ {
		at := int(t.batch.positions[r])
		turns.Turn(y.q[r*c.queries():(r+1)*c.queries()], at)
		turns.Turn(y.k[r*c.keys():(r+1)*c.keys()], at)
	}
}

// norm normalises rows that are as long as the norm's weight. Without a weight the
// rows stay as they are.
func (w *worker) norm(y, x []float32, norm Weight, roots []float32, s span) {
	if norm.Data == nil {
		copy(w.rows.of(y, w.t.net.Shape.Hidden), w.rows.of(x, w.t.net.Shape.Hidden))
		return
	}
	n := len(norm.Data)
	for r := s.from; r < s.to; r++ {
		roots[r] = kernel.Norm(y[r*n:(r+1)*n], x[r*n:(r+1)*n], norm.Data, w.t.net.Shape.Epsilon)
	}
}
