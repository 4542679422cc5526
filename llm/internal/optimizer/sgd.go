package optimizer

import "github.com/tunebus/tunebus/llm/internal/crew"

// sgd is stochastic gradient descent, with momentum where that is asked for, as
// torch.optim.SGD.
type sgd struct {
	momentum        float64
	dampening       float64
	nesterov        bool
	weights, pieces []moved
}

// moved is a weight with its momentum, or a piece of one.
type moved struct {
	Weight
	velocity []float32 // or nothing
}

func newSGD(s Settings, weights []Weight) *sgd {
	a := &sgd{momentum: s.Momentum, dampening: s.Dampening, nesterov: s.Nesterov}
	for _, w := range weights {
		all := moved{Weight: w}
		if s.Momentum != 0 {
			all.velocity = make([]float32, len(w.Values))
		}
		a.weights = append(a.weights, all)
		for at := 0; at < len(w.Values); at += piece {
			to := min(at+piece, len(w.Values))
			part := moved{Weight: w}
			part.Values, part.Gradients = w.Values[at:to], w.Gradients[at:to]
			if all.velocity != nil {
				part.velocity = all.velocity[at:to]
			}
			a.pieces = append(a.pieces, part)
		}
	}
	return a
}

func (a *sgd) update(c *crew.Crew, who int, s Step) {
	from, to := c.Share(len(a.pieces), 1, who)
	rate, scale, momentum := float32(s.Rate), float32(s.Scale), float32(a.momentum)
	share := float32(1 - a.dampening)
	if s.Number == 1 { // at the first step the momentum is the gradient
		share = 1
	}
	for _, p := range a.pieces[from:to] {
		decay := float32(0)
		if p.Decays {
			decay = float32(s.Decay)
		}
		for i, g := range p.Gradients {
			d := float32(g*scale) + float32(decay*p.Values[i])
			if p.velocity != nil {
				v := float32(share*d) + float32(momentum*p.velocity[i]) // zero at the first step
				p.velocity[i] = v
				if a.nesterov {
					v = d + float32(momentum*v)
				}
				d = v
			}
			p.Values[i] -= float32(rate * d)
		}
		clear(p.Gradients)
	}
}

func (a *sgd) state() []State {
	var out []State
	for _, w := range a.weights {
		if w.velocity != nil {
			out = append(out, State{Name: "momentum", Weight: w.Name, Shape: w.Shape, Numbers: w.velocity})
		}
	}
	return out
}
