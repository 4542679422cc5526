package net

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// rotary are the tables of a rotary embedding, in Hugging Face's layout: the first
// half of what turns of a head turns with the second.
type rotary struct {
	Rotary
	head           int
	positions      int
	cos, sin, back []float32 // [positions, HeadDim/2]; back is -sin
}

// tables are those of the network, which reach no position yet.
func tables(c Shape) []rotary {
	var out []rotary
	for _, r := range c.Rotaries {
		if r.Scale == 0 {
			r.Scale = 1
		}
		out = append(out, rotary{Rotary: r, head: c.HeadDim})
	}
	return out
}

// reach makes the tables long enough.
func (r *rotary) reach(positions int) {
	if positions <= r.positions {
		return
	}
	positions = max(positions, 2*r.positions, 64)
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

// turn turns the heads of x to a position.
func (r *rotary) turn(x []float32, position int) { r.by(x, position, r.sin) }

// turnBack turns gradients of the heads back.
func (r *rotary) turnBack(x []float32, position int) { r.by(x, position, r.back) }

func (r *rotary) by(x []float32, position int, sin []float32) {
	half := len(r.Frequencies)
	at := position * half
	for h := 0; h < len(x); h += r.head {
		kernel.Rotate(x[h:h+half], x[h+half:h+2*half], r.cos[at:at+half], sin[at:at+half])
	}
}
