package net

import (
	"github.com/tunebus/tunebus/llm/internal/dropout"
	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// projection is a projection of a layer, with what it keeps of the way forward.
type projection struct {
	*Linear
	layer, index int
	draws        int       // the first projection with the same A, whose dropout is that of all of them
	low          []float32 // what A gives, scaled, [N, Rank]
	stretched    []float32 // what is multiplied by the factors of DoRA, [N, Out]
}

// span are rows of a batch, from one to another.
type span struct{ from, to int }

// of is the part of a buffer that belongs to the rows.
func (s span) of(x []float32, width int) []float32 { return x[s.from*width : s.to*width] }

func (s span) count() int { return s.to - s.from }

// times are the parts of the rows, so many of each.
func (s span) times(n int) span { return span{s.from * n, s.to * n} }

// forward computes y (+)= x·Wᵀ + bias and the adapter's part, for a worker's
// rows.
func (p projection) forward(w *worker, x, y []float32, add bool) {
	if p.Magnitude.Data != nil {
		p.forwardStretched(w, x, y, add)
		return
	}
	t := w.t
	rows, in := w.rows.count(), w.rows.of(x, p.In)
	out := kernel.Rows(w.rows.of(y, p.Out), p.Out)
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
	p.Weight.product(&w.scratch, out, kernel.Rows(in, p.In), rows, 0, p.Out, p.In, add)
	if p.A.Data == nil {
		return
	}
	if t.drops() {
		place, d := p.place(w), p.dropout(w)
		for r := range rows {
			d.Fill(place[r*p.In:(r+1)*p.In], in[r*p.In:(r+1)*p.In], w.rows.from+r, 0)
		}
		in = place
	}
	p.adapt(w, in, out)
}

// adapt adds to y what the adapter gives for the inputs x of a worker's rows.
func (p projection) adapt(w *worker, x []float32, y kernel.Matrix) {
	rows, low := w.rows.count(), w.rows.of(p.low, p.Rank)
	w.scratch.Product(kernel.Rows(low, p.Rank), kernel.Rows(x, p.In), kernel.Rows(p.A.Data, p.In).T(), rows, p.Rank, p.In, false)
	kernel.Scale(low, p.Scale)
	w.scratch.Product(y, kernel.Rows(low, p.Rank), kernel.Rows(p.B.Data, p.Rank).T(), rows, p.Out, p.Rank, true)
}

// back computes dx (+)= dy·W and the adapter's part, for a worker's rows.
// Without dx it computes only what the adapter's own gradients need.
func (p projection) back(w *worker, dy, dx []float32, add bool) {
	if p.Magnitude.Data != nil {
		p.backStretched(w, dy, dx, add)
		return
	}
	t := w.t
	rows := w.rows.count()
	dOut := kernel.Rows(w.rows.of(dy, p.Out), p.Out)
	var dIn []float32
	if dx != nil {
		dIn = w.rows.of(dx, p.In)
		p.Weight.back(&w.scratch, kernel.Rows(dIn, p.In), dOut, rows, 0, p.In, p.Out, p.In, add)
	}
	if p.A.Data == nil {
		return
	}
	low := p.lowBack(w, dOut)
	if dx == nil {
		return
	}
	to, plus := dIn, true
	if t.drops() {
		to, plus = p.place(w), false
	}
	w.scratch.Product(kernel.Rows(to, p.In), low, kernel.Rows(p.A.Data, p.In), rows, p.In, p.Rank, plus)
	if t.drops() {
		d := p.dropout(w)
		for r := range rows {
			d.Add(dIn[r*p.In:(r+1)*p.In], to[r*p.In:(r+1)*p.In], w.rows.from+r)
		}
	}
}

// lowBack are the gradients of what A gives, unscaled, for a worker's rows.
func (p projection) lowBack(w *worker, dOut kernel.Matrix) kernel.Matrix {
	low := w.rows.of(w.t.dLow[p.index], p.Rank)
	w.scratch.Product(kernel.Rows(low, p.Rank), dOut, kernel.Rows(p.B.Data, p.Rank), w.rows.count(), p.Rank, p.Out, false)
	kernel.Scale(low, p.Scale)
	return kernel.Rows(low, p.Rank)
}

// learn adds the gradients of the projection's own weights, a worker's share of
// their columns or rows, over all rows of the batch.
func (p projection) learn(w *worker, dy, x []float32) {
	t := w.t
	n, rank := len(t.batch.ids), p.Rank
	from, to := t.crew.Share(p.Out, 12, w.who)
	dOut := kernel.Rows(dy, p.Out).T().From(from, 0)
	if p.Weight.Grad != nil {
		w.scratch.Product(kernel.Rows(p.Weight.Grad, p.In).From(from, 0), dOut, kernel.Rows(x, p.In), to-from, p.In, n, true)
	}
	if p.Bias.Grad != nil {
		for r := range n {
			kernel.Add(p.Bias.Grad[from:to], dy[r*p.Out+from:r*p.Out+to])
		}
	}
	if p.A.Grad == nil {
		return
	}
	if p.Magnitude.Data != nil {
		p.learnMagnitude(w, dy, from, to)
		dOut = kernel.Rows(t.dStretched[p.index], p.Out).T().From(from, 0)
	}
	w.scratch.Product(kernel.Rows(p.B.Grad, rank).From(from, 0), dOut, kernel.Rows(p.low, rank), to-from, rank, n, true)
	from, to = t.crew.Share(p.In, 32, w.who)
	in := kernel.Rows(x, p.In).From(0, from)
	if width := to - from; t.drops() {
		w.dropped = grow(w.dropped, n*width)
		d := p.dropout(w)
		for r := range n {
			d.Fill(w.dropped[r*width:(r+1)*width], x[r*p.In+from:r*p.In+to], r, from)
		}
		in = kernel.Rows(w.dropped, width)
	}
	w.scratch.Product(kernel.Rows(p.A.Grad, p.In).From(0, from), kernel.Rows(t.dLow[p.index], rank).T(), in, rank, to-from, n, true)
}

// dropout is what the projection's adapter drops in this pass.
func (p projection) dropout(w *worker) dropout.Mask {
	return w.t.draw.Of(w.t.net.Dropout, p.layer*linears+p.draws, p.In)
}

// place is a worker's place for what the adapter's input is after dropout.
func (p projection) place(w *worker) []float32 {
	w.dropped = grow(w.dropped, w.rows.count()*p.In)
	return w.dropped
}
