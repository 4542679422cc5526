// Package rotary turns the heads of queries and keys by their positions (Su et al.
// 2021), in the layout of Hugging Face: the first half of what turns of a head turns
// with the second.
package rotary

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// Embedding is a rotary embedding.
type Embedding struct {
	// Frequencies are in radians for each position. Where they are fewer than half
	// of a head, the end of the head does not turn.
	Frequencies []float64
	// Scale multiplies what turns; zero: not at all.
	Scale float64
}

// Table has the angles of an embedding, for as many positions as were asked for.
type Table struct {
	Embedding
	head           int
	positions      int
	cos, sin, back []float32 // [positions, HeadDim/2]; back is -sin
}

// Tables are those of embeddings of heads of so many numbers.
func Tables(of []Embedding, head int) []Table {
	var out []Table
	for _, e := range of {
		if e.Scale == 0 {
			e.Scale = 1
		}
		out = append(out, Table{Embedding: e, head: head})
	}
	return out
}

// shortest is how many positions a table has at least.
const shortest = 64

// BytesFor is how much memory the angles of so many positions take.
func (r *Table) BytesFor(positions int) int64 {
	const tables, number = 3, 4
	return tables * number * int64(max(positions, shortest)) * int64(len(r.Frequencies))
}

// Reach makes the table long enough.
func (r *Table) Reach(positions int) {
	if positions <= r.positions {
		return
	}
	positions = max(positions, 2*r.positions, shortest)
	half := len(r.Frequencies)
	r.cos, r.sin, r.back = make([]float32, positions*half), make([]float32, positions*half), make([]float32, positions*half)
	for t := range positions {
		for j, f := range r.Frequencies {
			s, c := math.Sincos(float64(t) * f)
			at := t*half + j
			r.cos[at], r.sin[at], r.back[at] = float32(c*r.Scale), float32(s*r.Scale), -float32(s*r.Scale)
		}
	}
	r.positions = positions
}

// Turn turns the heads of x to a position, which the table reaches.
func (r *Table) Turn(x []float32, position int) { r.by(x, position, r.sin) }

// TurnBack turns gradients of the heads back.
func (r *Table) TurnBack(x []float32, position int) { r.by(x, position, r.back) }

func (r *Table) by(x []float32, position int, sin []float32) {
	half := len(r.Frequencies)
	at := position * half
	for h := 0; h < len(x); h += r.head {
		kernel.Rotate(x[h:h+half], x[h+half:h+2*half], r.cos[at:at+half], sin[at:at+half])
	}
}
