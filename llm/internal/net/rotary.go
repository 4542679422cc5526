package net

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// rotary are the tables of the rotary embedding (Su et al. 2021), in Hugging
// Face's layout: the first half of a head turns with the second.
type rotary struct {
	frequencies    []float64
	positions      int
	cos, sin, back []float32 // [positions, HeadDim/2]; back is -sin
}

// reach makes the tables long enough.
func (r *rotary) reach(positions int) {
	if positions <= r.positions {
		return
	}
	positions = max(positions, 2*r.positions, 64)
	half := len(r.frequencies)
	r.cos, r.sin, r.back = make([]float32, positions*half), make([]float32, positions*half), make([]float32, positions*half)
	for t := range positions {
		for j, f := range r.frequencies {
			s, c := math.Sincos(float64(t) * f)
			at := t*half + j
			r.cos[at], r.sin[at], r.back[at] = float32(c), float32(s), -float32(s)
		}
	}
	r.positions = positions
}

// turn turns the heads of x to a position.
func (r *rotary) turn(x []float32, position int) { r.by(x, position, r.sin) }

// turnBack turns gradients of the heads back.
func (r *rotary) turnBack(x []float32, position int) { r.by(x, position, r.back) }

func (r *rotary) by(x []float32, position int, sin []float32) {
	half := len(r.frequencies)
	at := position * half
	for h := 0; h < len(x); h += 2 * half {
		kernel.Rotate(x[h:h+half], x[h+half:h+2*half], r.cos[at:at+half], sin[at:at+half])
	}
}
