package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// attend adds the keys and values of a stream to those of its sequence, for one
// head of keys, and attends with its heads of queries, as Trainer.attend does.
func (d *Decoder) attend(m *reader, y *decoded, s stream, kv int) {
	c := d.net.Shape
	dim, group := c.HeadDim, c.Heads/c.KVHeads
	at := (s.sequence*c.KVHeads + kv) * dim * d.positions
	keys, values := kernel.Rows(y.keys[at:at+dim*d.positions], d.positions), kernel.Rows(y.values[at:at+dim*d.positions], dim)
	for i := range s.count {
		row, position := s.row+i, s.position+i
		k := d.k[row*c.keys()+kv*dim : row*c.keys()+(kv+1)*dim]
		d.place(k, y.Layer, y.KNorm, position)
		for j, v := range k {
			keys.Data[j*d.positions+position] = v
		}
		copy(values.Data[position*dim:], d.v[row*c.keys()+kv*dim:row*c.keys()+(kv+1)*dim])
		for h := kv * group; h < (kv+1)*group; h++ {
			d.place(d.q[row*c.queries()+h*dim:row*c.queries()+(h+1)*dim], y.Layer, y.QNorm, position)
		}
	}
	if first := s.row*c.queries() + kv*group*dim; s.count == 1 { // all heads at once, that lie side by side
		d.mix(m, y.Layer, kernel.Rows(d.q[first:], dim), kernel.Rows(d.attended[first:], dim), keys, values, group, s.position+1, 0)
		return
	}
	for h := range group {
		at := s.row*c.queries() + (kv*group+h)*dim
		d.mix(m, y.Layer, kernel.Rows(d.q[at:], c.queries()), kernel.Rows(d.attended[at:], c.queries()), keys, values, s.count, s.position+1, 1)
	}
}

// place normalises a head, where the network does, and turns it to its position.
func (d *Decoder) place(head []float32, l *Layer, norm Weight, position int) {
	if norm.Data != nil && !l.normsWhole() {
		kernel.Norm(head, head, norm.Data, d.net.Shape.Epsilon)
	}
	if l.Rotary >= 0 {
		d.rotary[l.Rotary].Turn(head, position)
	}
}

// mix is attention of n queries, of which the first sees so many positions, and
// each next one more by a step.
func (d *Decoder) mix(m *reader, l *Layer, q, out, keys, values kernel.Matrix, n, seen, step int) {
	c := d.net.Shape
	first := l.sees(seen-1) &^ 15 // sums are made of sixteen parts
	all := seen + (n-1)*step - first
	width := up16(all)
	m.scores = grow(m.scores, n*width)
	scores := kernel.Rows(m.scores, width)
	m.Product(scores, q, keys.From(0, first), n, all, c.HeadDim, false)
	for i := range n {
		row, position := m.scores[i*width:(i+1)*width], seen+i*step-1
		f := capped(row[:position+1-first], c.scoreScale(), c.ScoreCap)
		kernel.Softmax(row, l.sees(position)-first, position+1-first, f)
	}
	m.Product(out, scores, values.From(first, 0), n, c.HeadDim, all, false)
}
