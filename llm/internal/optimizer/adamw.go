package optimizer

import (
	"github.com/tunebus/tunebus/llm/internal/crew"
	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// moments are AdamW's of a weight, or of a piece of one.
type moments struct {
	Weight
	first, second []float32
}

// adamW is the optimizer of Loshchilov and Hutter 2019.
type adamW struct {
	Settings
	weights, pieces []moments
}

func newAdamW(s Settings, weights []Weight) *adamW {
	a := &adamW{Settings: s}
	for _, w := range weights {
		all := moments{w, make([]float32, len(w.Values)), make([]float32, len(w.Values))}
		a.weights = append(a.weights, all)
		for at := 0; at < len(w.Values); at += piece {
			to := min(at+piece, len(w.Values))
			part := moments{w, all.first[at:to], all.second[at:to]}
			part.Values, part.Gradients = w.Values[at:to], w.Gradients[at:to]
			a.pieces = append(a.pieces, part)
		}
	}
	return a
}

// of is a step as the kernel has it, of weights that decay or do not.
func (s Step) of(t Settings, decays bool) kernel.AdamW {
	k := kernel.AdamW{Rate: s.Rate, Beta1: t.Beta1, Beta2: t.Beta2, Epsilon: t.Epsilon, Scale: s.Scale, Step: s.Number}
	if decays {
		k.Decay = s.Decay
	}
	return k
}

func (a *adamW) update(c *crew.Crew, who int, s Step) {
	from, to := c.Share(len(a.pieces), 1, who)
	for _, p := range a.pieces[from:to] {
		s.of(a.Settings, p.Decays).Update(p.Values, p.Gradients, p.first, p.second)
		clear(p.Gradients)
	}
}

func (a *adamW) state() []State {
	var out []State
	for _, w := range a.weights {
		out = append(out, State{Name: "first", Weight: w.Name, Shape: w.Shape, Numbers: w.first}, State{Name: "second", Weight: w.Name, Shape: w.Shape, Numbers: w.second})
	}
	return out
}
