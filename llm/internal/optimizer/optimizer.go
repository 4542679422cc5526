// Package optimizer changes weights by their gradients, with several goroutines and
// the same bits for any number of them. Its methods compute what the optimizers of
// torch, transformers and bitsandbytes compute that have the same names.
package optimizer

import (
	"fmt"
	"math"

	"github.com/tunebus/tunebus/llm/internal/crew"
	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// Weight is a weight that learns, with its gradients, which are as many.
type Weight struct {
	Name              string
	Shape             []int
	Values, Gradients []float32
	// Decays says that weight decay is for it.
	Decays bool
	// Embeds says that it is an embedding, whose state no method quantises.
	Embeds bool
}

// Settings are those of a training. Names and meanings are Hugging Face's.
type Settings struct {
	// Method is the name of an optimizer, see [Names].
	Method                string
	Beta1, Beta2, Epsilon float64 // of AdamW
	// Momentum, Dampening and Nesterov are those of SGD. The latter wants momentum and no
	// dampening.
	Momentum, Dampening float64
	Nesterov            bool
}

// Step is what one step is about.
type Step struct {
	Rate, Decay float64
	// Scale is what the gradients are multiplied by first.
	Scale float64
	// Number counts from 1.
	Number int64
}

// State is a part of what a method remembers of a weight: numbers, or bytes.
type State struct {
	// Name is that of the part, such as "first", and Weight that of the weight.
	Name, Weight string
	Shape        []int
	Numbers      []float32
	Bytes        []byte
}

// method is a way to change weights.
type method interface {
	// update changes a member's share of the weights. The members of the crew call
	// it together.
	update(c *crew.Crew, who int, s Step)
	// state is all that the next step depends on beside the weights.
	state() []State
}

// Names are the optimizers that there are, by their Hugging Face names. Those that
// are named on one line are one.
func Names() []string {
	return []string{
		"adamw_torch", "adamw_torch_fused", "adamw", "paged_adamw_32bit",
		"adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit",
		"sgd",
		"adafactor",
	}
}

// Optimizer changes weights by their gradients.
type Optimizer struct {
	crew      *crew.Crew
	method    method
	gradients [][]float32 // in pieces
	sums      []float64   // of the squares of each piece
	now       Step
	norm      func(member int)
	step      func(member int)
}

// piece is how many numbers are summed in one go.
const piece = 4096

// New makes an optimizer of weights that works with so many goroutines. An error
// names a method that there is not.
func New(s Settings, weights []Weight, threads int) (*Optimizer, error) {
	o := &Optimizer{crew: crew.New(threads)}
	for _, w := range weights {
		for at := 0; at < len(w.Gradients); at += piece {
			o.gradients = append(o.gradients, w.Gradients[at:min(at+piece, len(w.Gradients))])
		}
	}
	switch s.Method {
	case "", "adamw_torch", "adamw_torch_fused", "adamw", "paged_adamw_32bit":
		o.method = newAdamW(s, weights)
	case "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit":
		o.method = newAdamW8(s, weights, o.crew.Size())
	case "sgd":
		o.method = newSGD(s, weights)
	case "adafactor":
		o.method = newAdafactor(weights)
	default:
		return nil, fmt.Errorf("optimizer %q is none of %v", s.Method, Names())
	}
	o.sums = make([]float64, len(o.gradients))
	o.norm, o.step = o.sum, func(who int) { o.method.update(o.crew, who, o.now) }
	return o, nil
}

func (o *Optimizer) sum(who int) {
	from, to := o.crew.Share(len(o.gradients), 1, who)
	for i := from; i < to; i++ {
		o.sums[i] = float64(kernel.Dot(o.gradients[i], o.gradients[i]))
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
func (o *Optimizer) Step(s Step) {
	o.now = s
	o.crew.Run(o.step)
}

// Clear sets the gradients to zero.
func (o *Optimizer) Clear() {
	for _, g := range o.gradients {
		clear(g)
	}
}

// State is what the next step depends on beside the weights. Who changes it changes
// the optimizer.
func (o *Optimizer) State() []State { return o.method.state() }
