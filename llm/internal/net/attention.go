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

// head is head h of row s.
func (t *Trainer) head(y *kept, s, h int) head {
	c := t.net.Shape
	start, end := t.batch.starts[s], t.batch.starts[s+1]
	q, kv := c.queries(), c.keys()
	atQ, atK := start*q+h*c.HeadDim, start*kv+h/(c.Heads/c.KVHeads)*c.HeadDim
	return head{
		rows: end - start, q: from(y.q, atQ, q), out: from(y.attended, atQ, q), k: from(y.k, atK, kv), v: from(y.v, atK, kv),
		logs: y.logs[start*c.Heads+h*(end-start):],
	}
}

// from is a matrix that begins within a buffer.
func from(x []float32, at, apart int) kernel.Matrix { return kernel.Rows(x[min(at, len(x)):], apart) }

// task gives a member the next head of keys of a row of the batch.
func (t *Trainer) task() (row, kv int, ok bool) {
	i := int(t.next.Add(1)) - 1
	heads := t.net.Shape.KVHeads
	return i / heads, i % heads, i < (len(t.batch.starts)-1)*heads
}

// softmax turns n scores into shares, with room up to a multiple of sixteen,
// and returns the logarithm of their sum. Scores are multiplied by f first.
func softmax(x []float32, n int, f float32) (log float32) {
	room := x[:up16(n)]
	for i := n; i < len(room); i++ {
		room[i] = float32(math.Inf(-1)) // whose share is too small to count in the sum
	}
	top := kernel.Max(room) * f
	sum := kernel.ExpSum(room, f, -top)
	kernel.Scale(room, 1/sum)
	return top + float32(math.Log(float64(sum)))
}

// attend is attention of each position to those before it and to itself. Of
// the scores it keeps the logarithms of their sums alone (Dao et al. 2022).
func (t *Trainer) attend(m *member, y *kept, s, kv int) {
	c := t.net.Shape
	d, group := c.HeadDim, c.Heads/c.KVHeads
	scale := float32(1 / math.Sqrt(float64(d)))
	for h := kv * group; h < (kv+1)*group; h++ {
		a := t.head(y, s, h)
		m.scores = grow(m.scores, queryBlock*up16(a.rows))
		for from := 0; from < a.rows; from += queryBlock {
			to := min(a.rows, from+queryBlock)
			width := up16(to)
			scores := kernel.Rows(m.scores, width)
			m.Product(scores, a.q.From(from, 0), a.k.T(), to-from, to, d, false)
			for i := from; i < to; i++ {
				row := m.scores[(i-from)*width : (i-from+1)*width]
				a.logs[i] = softmax(row, i+1, scale)
				clear(row[i+1:])
			}
			m.Product(a.out.From(from, 0), scores, a.v, to-from, d, to, false)
		}
	}
}

// attendBack goes back through attend for all heads of queries of one head of
// keys, whose gradients it sums.
func (t *Trainer) attendBack(m *member, y *kept, s, kv int) {
	c := t.net.Shape
	d, group := c.HeadDim, c.Heads/c.KVHeads
	scale := float32(1 / math.Sqrt(float64(d)))
	start, end := t.batch.starts[s], t.batch.starts[s+1]
	atK := start*c.keys() + kv*d
	dK, dV := from(t.dK, atK, c.keys()), from(t.dV, atK, c.keys())
	for r := range end - start {
		clear(dK.Data[r*dK.Row : r*dK.Row+d])
		clear(dV.Data[r*dV.Row : r*dV.Row+d])
	}
	for h := kv * group; h < (kv+1)*group; h++ {
		a := t.head(y, s, h)
		at := start*c.queries() + h*d
		dOut, dQ := from(t.dAttended, at, c.queries()), from(t.dQ, at, c.queries())
		m.scores, m.gradients = grow(m.scores, queryBlock*up16(a.rows)), grow(m.gradients, queryBlock*up16(a.rows))
		for from := 0; from < a.rows; from += queryBlock {
			to := min(a.rows, from+queryBlock)
			n, width := to-from, up16(to)
			shares, back := kernel.Rows(m.scores, width), kernel.Rows(m.gradients, width)
			m.Product(shares, a.q.From(from, 0), a.k.T(), n, to, d, false)
			m.Product(back, dOut.From(from, 0), a.v.T(), n, to, d, false)
			for i := from; i < to; i++ {
				row, grad := m.scores[(i-from)*width:(i-from+1)*width], m.gradients[(i-from)*width:(i-from+1)*width]
				mean := kernel.Dot(dOut.Data[i*dOut.Row:i*dOut.Row+d], a.out.Data[i*a.out.Row:i*a.out.Row+d])
				kernel.AttendBack(row[:up16(i+1)], grad[:up16(i+1)], scale, -a.logs[i], mean)
				clear(row[i+1:])
				clear(grad[i+1:])
			}
			m.Product(dQ.From(from, 0), back, a.k, n, d, to, false)
			m.Product(dK, back.T(), a.q.From(from, 0), to, d, n, true)
			m.Product(dV, shares.T(), dOut.From(from, 0), to, d, n, true)
		}
	}
}
