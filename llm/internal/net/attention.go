package net

import (
	"math"

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

// softmax turns n scores into shares, with room up to a multiple of sixteen,
// and returns the logarithm of their sum. Scores are multiplied by f first.
func softmax(x []float32, n int, f float32) (log float32) {
	padded := x[:up16(n)]
	for i := n; i < len(padded); i++ {
		padded[i] = float32(math.Inf(-1)) // whose share is too small to count in the sum
	}
	top := kernel.Max(padded) * f
	sum := kernel.ExpSum(padded, f, -top)
	kernel.Scale(padded, 1/sum)
	return top + float32(math.Log(float64(sum)))
}

// forward is attention of each position to those before it and to itself. Of
// the scores it keeps the logarithms of their sums alone (Dao et al. 2022).
func (a attention) forward() {
	c, w := a.w.t.net.Shape, a.w
	d, group := c.HeadDim, c.Heads/c.KVHeads
	scale := float32(1 / math.Sqrt(float64(d)))
	for h := a.kv * group; h < (a.kv+1)*group; h++ {
		y := a.head(h)
		w.scores = grow(w.scores, queryBlock*up16(y.rows))
		for from := 0; from < y.rows; from += queryBlock {
			to := min(y.rows, from+queryBlock)
			width := up16(to)
			scores := kernel.Rows(w.scores, width)
			w.scratch.Product(scores, y.q.From(from, 0), y.k.T(), to-from, to, d, false)
			for i := from; i < to; i++ {
				row := w.scores[(i-from)*width : (i-from+1)*width]
				y.logs[i] = softmax(row, i+1, scale)
				clear(row[i+1:])
			}
			w.scratch.Product(y.out.From(from, 0), scores, y.v, to-from, d, to, false)
		}
	}
}

// back goes back through forward.
func (a attention) back() {
	c, w := a.w.t.net.Shape, a.w
	d, group := c.HeadDim, c.Heads/c.KVHeads
	scale := float32(1 / math.Sqrt(float64(d)))
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
		for from := 0; from < y.rows; from += queryBlock {
			to := min(y.rows, from+queryBlock)
			n, width := to-from, up16(to)
			shares, back := kernel.Rows(w.scores, width), kernel.Rows(w.gradients, width)
			w.scratch.Product(shares, y.q.From(from, 0), y.k.T(), n, to, d, false)
			w.scratch.Product(back, dOut.From(from, 0), y.v.T(), n, to, d, false)
			for i := from; i < to; i++ {
				row, grad := w.scores[(i-from)*width:(i-from+1)*width], w.gradients[(i-from)*width:(i-from+1)*width]
				mean := kernel.Dot(dOut.Data[i*dOut.Row:i*dOut.Row+d], y.out.Data[i*y.out.Row:i*y.out.Row+d])
				kernel.AttendBack(row[:up16(i+1)], grad[:up16(i+1)], scale, -y.logs[i], mean)
				clear(row[i+1:])
				clear(grad[i+1:])
			}
			w.scratch.Product(dQ.From(from, 0), back, y.k, n, d, to, false)
			w.scratch.Product(dK, back.T(), y.q.From(from, 0), to, d, n, true)
			w.scratch.Product(dV, shares.T(), dOut.From(from, 0), to, d, n, true)
		}
	}
}
