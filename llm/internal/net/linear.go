package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// projection is a projection of a layer, with what it keeps of the way forward.
type projection struct {
	*Linear
	layer, index int
	low          []float32 // what A gives, scaled, [N, Rank]
}

// member is what a goroutine of a training has of its own.
type member struct {
	kernel.Scratch
	scores, gradients []float32 // of a block of attention
	dropped           []float32 // columns of inputs of an adapter
}

// span are rows of a batch, from one to another.
type span struct{ from, to int }

func (s span) of(x []float32, width int) []float32 { return x[s.from*width : s.to*width] }

func (s span) rows() int { return s.to - s.from }

// times are the parts of the rows, so many of each.
func (s span) times(n int) span { return span{s.from * n, s.to * n} }

// project computes y (+)= x·Wᵀ + bias and the adapter's part, for some rows.
func (t *Trainer) project(m *member, p projection, x, y []float32, s span, add bool) {
	rows, in := s.rows(), s.of(x, p.In)
	out := kernel.Rows(s.of(y, p.Out), p.Out)
	if b := p.Bias.Data; b != nil {
		for r := range rows {
			if row := out.Data[r*p.Out : (r+1)*p.Out]; add {
				kernel.Add(row, b)
			} else {
				copy(row, b)
			}
		}
		add = true
	}
	m.Product(out, kernel.Rows(in, p.In), kernel.Rows(p.Weight.Data, p.In).T(), rows, p.Out, p.In, add)
	if p.A.Data == nil {
		return
	}
	if t.drops() {
		kept, d := t.droppedOf(p, s), t.drop(p)
		for r := range rows {
			d.fill(kept[r*p.In:(r+1)*p.In], in[r*p.In:(r+1)*p.In], s.from+r, 0)
		}
		in = kept
	}
	rank := t.net.Adapter.Rank
	low := s.of(p.low, rank)
	m.Product(kernel.Rows(low, rank), kernel.Rows(in, p.In), kernel.Rows(p.A.Data, p.In).T(), rows, rank, p.In, false)
	kernel.Scale(low, t.net.Adapter.Scale)
	m.Product(out, kernel.Rows(low, rank), kernel.Rows(p.B.Data, rank).T(), rows, p.Out, rank, true)
}

// projectBack computes dx (+)= dy·W and the adapter's part, for some rows.
// Without dx it computes only what the adapter's own gradients need.
func (t *Trainer) projectBack(m *member, p projection, dy, dx []float32, s span, add bool) {
	rows := s.rows()
	dOut := kernel.Rows(s.of(dy, p.Out), p.Out)
	var dIn []float32
	if dx != nil {
		dIn = s.of(dx, p.In)
		m.Product(kernel.Rows(dIn, p.In), dOut, kernel.Rows(p.Weight.Data, p.In), rows, p.In, p.Out, add)
	}
	if p.A.Data == nil {
		return
	}
	rank := t.net.Adapter.Rank
	low := s.of(t.dLow[p.index], rank)
	m.Product(kernel.Rows(low, rank), dOut, kernel.Rows(p.B.Data, rank), rows, rank, p.Out, false)
	kernel.Scale(low, t.net.Adapter.Scale)
	if dx == nil {
		return
	}
	to, plus := dIn, true
	if t.drops() {
		to, plus = t.droppedOf(p, s), false
	}
	m.Product(kernel.Rows(to, p.In), kernel.Rows(low, rank), kernel.Rows(p.A.Data, p.In), rows, p.In, rank, plus)
	if t.drops() {
		d := t.drop(p)
		for r := range rows {
			d.add(dIn[r*p.In:(r+1)*p.In], to[r*p.In:(r+1)*p.In], s.from+r)
		}
	}
}

// learn adds the gradients of a projection's own weights, a member's share of
// their columns or rows, over all rows of the batch.
func (t *Trainer) learn(m *member, who int, p projection, dy, x []float32) {
	n, rank := t.rows(), t.net.Adapter.Rank
	from, to := t.crew.share(p.Out, 12, who)
	dOut := kernel.Rows(dy, p.Out).T().From(from, 0)
	if p.Weight.Grad != nil {
		m.Product(kernel.Rows(p.Weight.Grad, p.In).From(from, 0), dOut, kernel.Rows(x, p.In), to-from, p.In, n, true)
	}
	if p.Bias.Grad != nil {
		for r := range n {
			kernel.Add(p.Bias.Grad[from:to], dy[r*p.Out+from:r*p.Out+to])
		}
	}
	if p.A.Grad == nil {
		return
	}
	m.Product(kernel.Rows(p.B.Grad, rank).From(from, 0), dOut, kernel.Rows(p.low, rank), to-from, rank, n, true)
	from, to = t.crew.share(p.In, 32, who)
	in := kernel.Rows(x, p.In).From(0, from)
	if width := to - from; t.drops() {
		m.dropped = grow(m.dropped, n*width)
		d := t.drop(p)
		for r := range n {
			d.fill(m.dropped[r*width:(r+1)*width], x[r*p.In+from:r*p.In+to], r, from)
		}
		in = kernel.Rows(m.dropped, width)
	}
	m.Product(kernel.Rows(p.A.Grad, p.In).From(0, from), kernel.Rows(t.dLow[p.index], rank).T(), in, rank, to-from, n, true)
}

// drops reports whether this pass drops inputs of adapters.
func (t *Trainer) drops() bool { return t.learning && t.net.Adapter.Dropout > 0 }

func (t *Trainer) drop(p projection) dropout {
	return t.draw.of(t.net.Adapter.Dropout, p.layer, p.index, p.In)
}

// droppedOf is a place for the inputs of some rows. Members may be at different
// projections, so that the place is for the widest.
func (t *Trainer) droppedOf(p projection, s span) []float32 {
	return s.of(t.dropped, t.net.widest())[:s.rows()*p.In]
}
