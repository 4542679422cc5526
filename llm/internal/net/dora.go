package net

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// stretch are the factors of DoRA for the outputs of a projection, which bring the rows
// of its adapted weight to their magnitudes, and what these rows measure without them.
// They are the same for a whole pass, and no gradients go back through the measures, as
// the paper has it.
type stretch struct{ factors, measures []float32 }

// makeStretches makes a place for those of all layers.
func (t *Trainer) makeStretches() {
	t.stretches = make([][linears]stretch, len(t.net.Layers))
	for l := range t.net.Layers {
		for i, p := range t.net.Layers[l].linears() {
			if p.Magnitude.Data != nil {
				t.stretches[l][i] = stretch{make([]float32, p.Out), make([]float32, p.Out)}
				t.isStretched = true
			}
		}
	}
}

// stretch computes a worker's share of all factors, and waits for the others.
func (w *worker) stretch() {
	t := w.t
	if !t.isStretched {
		return
	}
	for l := range t.stretches {
		for i, p := range t.net.Layers[l].linears() {
			if s := t.stretches[l][i]; s.factors != nil {
				from, to := t.crew.Share(p.Out, 12, w.who)
				w.dropped = p.measure(&w.scratch, w.dropped, s, from, to)
			}
		}
	}
	t.crew.Meet()
}

// measuredRows are how many rows of a weight are measured at once.
const measuredRows = 24

// measured is the size of the buffer that measure needs.
func measured(in int) int { return (measuredRows + 1) * in }

// measure computes factors and measures of outputs from one to another. It needs a
// buffer for a part of the adapted weight and a row, which it may replace by a larger one.
func (l *Linear) measure(scratch *kernel.Scratch, buffer []float32, s stretch, from, to int) []float32 {
	buffer = grow(buffer, measured(l.In))
	own := buffer[measuredRows*l.In:]
	for ; from < to; from += measuredRows {
		n := min(measuredRows, to-from)
		delta := buffer[:n*l.In]
		scratch.Product(kernel.Rows(delta, l.In), kernel.Rows(l.B.Data, l.Rank).From(from, 0), kernel.Rows(l.A.Data, l.In), n, l.In, l.Rank, false)
		kernel.Scale(delta, l.Scale)
		for i := range n {
			row := delta[i*l.In : (i+1)*l.In]
			l.Weight.row(scratch, own, from+i)
			kernel.Add(row, own)
			s.measures[from+i] = float32(math.Sqrt(float64(kernel.Dot(row, row))))
			s.factors[from+i] = l.Magnitude.Data[from+i] / s.measures[from+i]
		}
	}
	return buffer
}

// stretchedWeights are copies of the weight and of B with the factors in them, for
// networks that do not learn.
func (l *Linear) stretchedWeights() (weight, b Weight) {
	s := stretch{make([]float32, l.Out), make([]float32, l.Out)}
	scratch := &kernel.Scratch{}
	l.measure(scratch, nil, s, 0, l.Out)
	multiplied := func(w Weight, width int) Weight {
		out := Weight{Data: kernel.Aligned(l.Out * width)}
		for i, f := range s.factors {
			row := out.Data[i*width : (i+1)*width]
			w.row(scratch, row, i)
			kernel.Scale(row, f)
		}
		return out
	}
	return multiplied(l.Weight, l.In), multiplied(l.B, l.Rank)
}

// forwardStretched is forward with DoRA. Where inputs are dropped, the projection is of
// those that stay, and what the others give is added as it is, as PEFT does.
func (p projection) forwardStretched(w *worker, x, y []float32, add bool) {
	t := w.t
	rows, in := w.rows.count(), w.rows.of(x, p.In)
	z, out := w.rows.of(p.stretched, p.Out), w.rows.of(y, p.Out)
	kept := in
	if t.drops() {
		kept = p.place(w)
		d := p.dropout(w)
		for r := range rows {
			d.Fill(kept[r*p.In:(r+1)*p.In], in[r*p.In:(r+1)*p.In], w.rows.from+r, 0)
		}
	}
	p.Weight.product(&w.scratch, kernel.Rows(z, p.Out), kernel.Rows(kept, p.In), rows, 0, p.Out, p.In, false)
	p.adapt(w, kept, kernel.Rows(z, p.Out))
	if t.drops() {
		for i, v := range in {
			kept[i] = v - kept[i]
		}
		p.Weight.product(&w.scratch, kernel.Rows(out, p.Out), kernel.Rows(kept, p.In), rows, 0, p.Out, p.In, add)
		add = true
	}
	factors := t.stretches[p.layer][p.index].factors
	for r := range rows {
		row, z := out[r*p.Out:(r+1)*p.Out], z[r*p.Out:(r+1)*p.Out]
		if !add {
			clear(row)
		}
		if p.Bias.Data != nil {
			kernel.Add(row, p.Bias.Data)
		}
		for i, f := range factors {
			row[i] += float32(f * z[i])
		}
	}
}

// backStretched is back with DoRA.
func (p projection) backStretched(w *worker, dy, dx []float32, add bool) {
	t := w.t
	rows, dOut := w.rows.count(), w.rows.of(dy, p.Out)
	d := w.rows.of(t.dStretched[p.index], p.Out)
	for r := range rows {
		for i, f := range t.stretches[p.layer][p.index].factors {
			d[r*p.Out+i] = f * dOut[r*p.Out+i]
		}
	}
	low := p.lowBack(w, kernel.Rows(d, p.Out))
	if dx == nil {
		return
	}
	dIn := w.rows.of(dx, p.In)
	if !t.drops() {
		p.Weight.back(&w.scratch, kernel.Rows(dIn, p.In), kernel.Rows(d, p.Out), rows, 0, p.In, p.Out, p.In, add)
		w.scratch.Product(kernel.Rows(dIn, p.In), low, kernel.Rows(p.A.Data, p.In), rows, p.In, p.Rank, true)
		return
	}
	p.Weight.back(&w.scratch, kernel.Rows(dIn, p.In), kernel.Rows(dOut, p.Out), rows, 0, p.In, p.Out, p.In, add)
	w.whole = grow(w.whole, rows*p.Out)
	for i, v := range d {
		w.whole[i] = v - dOut[i]
	}
	to, mask := p.place(w), p.dropout(w)
	p.Weight.back(&w.scratch, kernel.Rows(to, p.In), kernel.Rows(w.whole, p.Out), rows, 0, p.In, p.Out, p.In, false)
	w.scratch.Product(kernel.Rows(to, p.In), low, kernel.Rows(p.A.Data, p.In), rows, p.In, p.Rank, true)
	for r := range rows {
		mask.Add(dIn[r*p.In:(r+1)*p.In], to[r*p.In:(r+1)*p.In], w.rows.from+r)
	}
}

// learnMagnitude adds the gradients of the magnitudes of outputs from one to another,
// over all rows of the batch.
func (p projection) learnMagnitude(w *worker, dy []float32, from, to int) {
	measures := w.t.stretches[p.layer][p.index].measures
	for r := range w.t.tokens() {
		at := r * p.Out
		for i := from; i < to; i++ {
			p.Magnitude.Grad[i] += float32(dy[at+i] * p.stretched[at+i] / measures[i])
		}
	}
}
