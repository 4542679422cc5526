package net

import (
	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// queryBlock is how many queries are scored at once. No more scores are kept.
const queryBlock = 48

// head is a head of queries of a row, as views of what a layer keeps.
type head struct {
	rows   int // of the row
	q, out kernel.Matrix
	k, v   kernel.Matrix
	logs   []float32 // of the sums of the softmax
}

// attention is the attention of the heads of one head of keys, in one row of
// the batch.
type attention struct {
	w       *worker
	layer   *Layer
	y       *activations
	row, kv int
}

// head is head h of queries.
func (a attention) head(h int) head {
	c, y := a.w.t.net.Shape, a.y
	start, end := a.w.t.batch.starts[a.row], a.w.t.batch.starts[a.row+1]
	q, kv := c.queries(), c.keys()
	atQ, atK := start*q+h*c.HeadDim, start*kv+h/(c.Heads/c.KVHeads)*c.HeadDim
	return head{
		rows: end - start, q: from(y.q, atQ, q), out: from(y.attended, atQ, q), k: from(y.k, atK, kv), v: from(y.v, atK, kv),
		logs: y.logs[start*c.Heads+h*(end-start):],
	}
}

// from is a matrix that begins within a buffer.
func from(x []float32, at, apart int) kernel.Matrix { return kernel.Rows(x[min(at, len(x)):], apart) }

// block are some queries of a row and the positions that any of them sees.
type block struct{ from, to, first int }

// blocks are those of so many tokens.
func (l *Layer) blocks(tokens int) func(yield func(block) bool) {
	return func(yield func(block) bool) {
		for from := 0; from < tokens; from += queryBlock {
			b := block{from, min(tokens, from+queryBlock), l.sees(from) &^ 15} // sums are made of sixteen parts
			if !yield(b) {
				return
			}
		}
	}
}

// forward is attention of each position to those before it and to itself. Of
// the scores it keeps the logarithms of their sums alone (Dao et al. 2022).
func (a attention) forward() {
	c, w := a.w.t.net.Shape, a.w
	d, group := c.HeadDim, c.Heads/c.KVHeads
	for h := a.kv * group; h < (a.kv+1)*group; h++ {
		y := a.head(h)
		w.scores = grow(w.scores, queryBlock*up16(y.rows))
		for b := range a.layer.blocks(y.rows) {
			n, seen := b.to-b.from, b.to-b.first
			width := up16(seen)
			scores := kernel.Rows(w.scores, width)
			w.scratch.Product(scores, y.q.From(b.from, 0), y.k.From(b.first, 0).T(), n, seen, d, false)
			for i := b.from; i < b.to; i++ {
				row := w.scores[(i-b.from)*width : (i-b.from+1)*width]
				f := capped(row[:i+1-b.first], c.scoreScale(), c.ScoreCap)
				y.logs[i] = kernel.Softmax(row, a.layer.sees(i)-b.first, i+1-b.first, f)
			}
			w.scratch.Product(y.out.From(b.from, 0), scores, y.v.From(b.first, 0), n, d, seen, false)
		}
	}
}

// back goes back through forward.
func (a attention) back() {
	c, w := a.w.t.net.Shape, a.w
	d, group := c.HeadDim, c.Heads/c.KVHeads
	start, end := w.t.batch.starts[a.row], w.t.batch.starts[a.row+1]
	atK := start*c.keys() + a.kv*d
	dK, dV := from(w.t.dK, atK, c.keys()), from(w.t.dV, atK, c.keys())
	for r := range end - start {
		clear(dK.Data[r*dK.Row : r*dK.Row+d])
		clear(dV.Data[r*dV.Row : r*dV.Row+d])
	}
	for h := a.kv * group; h < (a.kv+1)*group; h++ {
		y := a.head(h)
		at := start*c.queries() + h*d
		dOut, dQ := from(w.t.dAttended, at, c.queries()), from(w.t.dQ, at, c.queries())
		w.scores, w.gradients = grow(w.scores, queryBlock*up16(y.rows)), grow(w.gradients, queryBlock*up16(y.rows))
		for b := range a.layer.blocks(y.rows) {
			n, seen := b.to-b.from, b.to-b.first
			width := up16(seen)
			shares, back := kernel.Rows(w.scores, width), kernel.Rows(w.gradients, width)
			w.scratch.Product(shares, y.q.From(b.from, 0), y.k.From(b.first, 0).T(), n, seen, d, false)
			w.scratch.Product(back, dOut.From(b.from, 0), y.v.From(b.first, 0).T(), n, seen, d, false)
			for i := b.from; i < b.to; i++ {
				row, grad := w.scores[(i-b.from)*width:(i-b.from+1)*width], w.gradients[(i-b.from)*width:(i-b.from+1)*width]
				mean := kernel.Dot(dOut.Data[i*dOut.Row:i*dOut.Row+d], y.out.Data[i*y.out.Row:i*y.out.Row+d])
				a.scoresBack(row, grad, a.layer.sees(i)-b.first, i+1-b.first, y.logs[i], mean)
			}
			w.scratch.Product(dQ.From(b.from, 0), back, y.k.From(b.first, 0), n, d, seen, false)
			w.scratch.Product(dK.From(b.first, 0), back.T(), y.q.From(b.from, 0), seen, d, n, true)
			w.scratch.Product(dV.From(b.first, 0), shares.T(), dOut.From(b.from, 0), seen, d, n, true)
		}
	}
}

// scoresBack makes shares of the scores of a row, as softmax does, and of the
// gradients of these the gradients of the scores.
func (a attention) scoresBack(row, grad []float32, from, to int, log, mean float32) {
	c, w := a.w.t.net.Shape, a.w
	f := capped(row[:to], c.scoreScale(), c.ScoreCap)
	if c.ScoreCap != 0 {
		w.whole = append(w.whole[:0], row[:to]...)
	}
	kernel.AttendBack(row[:up16(to)], grad[:up16(to)], f, -log, mean)
	if c.ScoreCap != 0 {
		cappedBack(grad[:to], w.whole, c.scoreScale(), c.ScoreCap)
	}
	for _, x := range [][]float32{row, grad} {
		clear(x[:from])
		clear(x[to:])
	}
}
