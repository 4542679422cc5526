package optimizer

import (
	"github.com/tunebus/tunebus/llm/internal/crew"
)

// smallest is how many numbers a weight has at least whose moments are quantised, as
// in bitsandbytes.
const smallest = 4096

// adamW8 is AdamW with moments of 8 bits (Dettmers et al. 2021), as the adamw_8bit of
// bitsandbytes. Small weights and embeddings have moments of 32 bits.
type adamW8 struct {
	Settings
	weights []quantised
	pieces  []quantised
	whole   *adamW
	opened  []moments // of each member: those of a piece
}

// quantised is a weight with quantised moments, or a piece of one.
type quantised struct {
	Weight
	first, second blocks
}

func newAdamW8(s Settings, weights []Weight, members int) *adamW8 {
	a := &adamW8{Settings: s}
	var whole []Weight
	for _, w := range weights {
		if len(w.Values) < smallest || w.Embeds {
			whole = append(whole, w)
			continue
		}
		all := quantised{w, newBlocks(signed(), len(w.Values)), newBlocks(unsigned(), len(w.Values))}
		a.weights = append(a.weights, all)
		for at := 0; at < len(w.Values); at += piece {
			to := min(at+piece, len(w.Values))
			part := quantised{w, all.first.part(at, to), all.second.part(at, to)}
			part.Values, part.Gradients = w.Values[at:to], w.Gradients[at:to]
			a.pieces = append(a.pieces, part)
		}
	}
	a.whole = newAdamW(s, whole)
	for range members {
		a.opened = append(a.opened, moments{first: make([]float32, piece), second: make([]float32, piece)})
	}
	return a
}

func (a *adamW8) update(c *crew.Crew, who int, s Step) {
	a.whole.update(c, who, s)
	from, to := c.Share(len(a.pieces), 1, who)
	for _, p := range a.pieces[from:to] {
		first, second := a.opened[who].first[:len(p.Values)], a.opened[who].second[:len(p.Values)]
		p.first.open(first)
		p.second.open(second)
		s.of(a.Settings, p.Decays).Update(p.Values, p.Gradients, first, second)
		p.first.close(first)
		p.second.close(second)
		clear(p.Gradients)
	}
}

func (a *adamW8) state() []State {
	out := a.whole.state()
	for _, w := range a.weights {
		for _, m := range []struct {
			name string
			blocks
		}{{"first", w.first}, {"second", w.second}} {
			out = append(out, State{Name: m.name, Weight: w.Name, Shape: w.Shape, Bytes: m.codes},
				State{Name: m.name + "_absmax", Weight: w.Name, Shape: []int{len(m.most)}, Numbers: m.most})
		}
	}
	return out
}
