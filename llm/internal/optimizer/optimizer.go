// Package optimizer changes weights by their gradients, with several goroutines and
// the same bits for any number of them.
package optimizer

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/crew"
	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// Learned is a weight that learns, with its gradients and AdamW's moments, all
// of one length.
type Learned struct {
	Weights, Gradients, First, Second []float32
	Decays                            bool
}

// Optimizer changes weights by their gradients.
type Optimizer struct {
	crew   *crew.Crew
	pieces []Learned
	sums   []float64 // of the squares of the gradients of each piece
	adam   kernel.AdamW
	norm   func(member int)
	step   func(member int)
}

// piece is how many numbers are summed in one go.
const piece = 4096

// New makes an optimizer of weights that works with so many
// goroutines.
func New(weights []Learned, threads int) *Optimizer {
	o := &Optimizer{crew: crew.New(threads)}
	for _, w := range weights {
		for at := 0; at < len(w.Weights); at += piece {
			to := min(at+piece, len(w.Weights))
			o.pieces = append(o.pieces, Learned{Weights: w.Weights[at:to], Gradients: w.Gradients[at:to], First: w.First[at:to], Second: w.Second[at:to], Decays: w.Decays})
		}
	}
	o.sums = make([]float64, len(o.pieces))
	o.norm, o.step = o.sum, o.update
	return o
}

func (o *Optimizer) sum(who int) {
	from, to := o.crew.Share(len(o.pieces), 1, who)
	for i := from; i < to; i++ {
		o.sums[i] = float64(kernel.Dot(o.pieces[i].Gradients, o.pieces[i].Gradients))
	}
}

// Norm is the norm of all gradients.
func (o *Optimizer) Norm() float64 {
	o.crew.Run(o.norm)
	sum := 0.0
	for _, s := range o.sums {
		sum += s
	}
	return math.Sqrt(sum)
}

// Step changes the weights, and sets the gradients to zero.
func (o *Optimizer) Step(adam kernel.AdamW) {
	o.adam = adam
	o.crew.Run(o.step)
}

func (o *Optimizer) update(who int) {
	from, to := o.crew.Share(len(o.pieces), 1, who)
	spared := o.adam
	spared.Decay = 0
	for _, p := range o.pieces[from:to] {
		adam := o.adam
		if !p.Decays {
			adam = spared
		}
		adam.Update(p.Weights, p.Gradients, p.First, p.Second)
		clear(p.Gradients)
	}
}

// Clear sets the gradients to zero.
func (o *Optimizer) Clear() {
	for _, p := range o.pieces {
		clear(p.Gradients)
	}
}
