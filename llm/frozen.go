package llm

import "github.com/tunebus/tunebus/llm/internal/kernel"

// values are the numbers of a weight in float32, a copy where it is kept in another
// type.
func (p *param) values() []float32 {
	if p.kept == nil {
		return p.data
	}
	out := make([]float32, p.size())
	p.kept.Fill(new(kernel.Scratch), out, 0, p.kept.Out)
	return out
}

// thaw makes float32 of a weight that is kept in another type, so that it can change.
func (p *param) thaw() { p.data, p.kept = p.values(), nil }

// missing reports whether a weight was not read yet.
func (p *param) missing() bool { return p.data == nil && p.kept == nil }

// thaw makes float32 of all weights that learn.
func thaw(learn []*param) {
	for _, p := range learn {
		p.thaw()
	}
}
