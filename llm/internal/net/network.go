package net

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/rotary"
)

// Shape is the size of a network.
type Shape struct {
	Vocab, Hidden, Intermediate int
	Heads, KVHeads, HeadDim     int
	// Epsilon is that of RMSNorm.
	Epsilon float32
	// Rotaries are the rotary embeddings that layers choose from.
	Rotaries []rotary.Embedding
	// GELU says that the gate of the MLP is GELU in its tanh form, not SiLU.
	GELU bool
	// What follows changes nothing where it is zero.
	//
	// EmbedScale multiplies what the embedding gives, ResidualScale what
	// attention and the MLP add, in networks without norms behind these, and
	// LogitScale the logits.
	EmbedScale, ResidualScale, LogitScale float32
	// ScoreScale multiplies the scores of attention, in place of 1/√HeadDim.
	ScoreScale float32
	// ScoreCap and LogitCap keep scores and logits below a bound: cap·tanh(x/cap).
	ScoreCap, LogitCap float32
}

// scoreScale multiplies the scores of attention.
func (s Shape) scoreScale() float32 {
	if s.ScoreScale != 0 {
		return s.ScoreScale
	}
	return float32(1 / math.Sqrt(float64(s.HeadDim)))
}

// gate is what the MLP lets through: act(g)·u.
func (s Shape) gate(y, g, u []float32) {
	if s.GELU {
		kernel.Gelu(y, g, u)
	} else {
		kernel.Gate(y, g, u)
	}
}

// gateBack goes back through gate, see [kernel.GateBack].
func (s Shape) gateBack(dg, dy, y, g, u []float32) {
	if s.GELU {
		kernel.GeluBack(dg, dy, y, g, u)
	} else {
		kernel.GateBack(dg, dy, y, g, u)
	}
}

// scale multiplies where f is not zero.
func scale(x []float32, f float32) {
	if f != 0 {
		kernel.Scale(x, f)
	}
}

// capped bounds x·f, where there is a bound, and returns what is left to multiply.
func capped(x []float32, f, bound float32) float32 {
	if bound == 0 {
		return f
	}
	kernel.Softcap(x, 2*f/bound, bound)
	return 1
}

// cappedBack goes back through capped: y is what it made.
func cappedBack(d, y []float32, f, bound float32) {
	if bound != 0 {
		kernel.SoftcapBack(d, y, 2*f/bound, bound)
	}
}

// queries is the length of the queries of a position.
func (s Shape) queries() int { return s.Heads * s.HeadDim }

// keys is the length of the keys, or values, of a position.
func (s Shape) keys() int { return s.KVHeads * s.HeadDim }

// Linear is a projection: y = x·Wᵀ + bias, and what an adapter adds:
// Scale·x·Aᵀ·Bᵀ. Q, K and V, and Gate and Up, may be parts of one projection: then
// they have one A, and their other weights are parts of its rows.
type Linear struct {
	Out, In int
	Weight  Weight // [Out, In]
	Bias    Weight // [Out], or nothing
	A, B    Weight // [Rank, In] and [Out, Rank], or nothing
	Rank    int
	Scale   float32
	// Magnitude are the lengths that the rows of W + Scale·B·A are brought to (DoRA, Liu
	// et al. 2024), or nothing. [Out]
	Magnitude Weight
}

// Parts cuts a projection into projections with so many outputs, which share its
// weights.
func (l Linear) Parts(outputs ...int) []Linear {
	var out []Linear
	from := 0
	for _, n := range outputs {
		part := l
		part.Out = n
		part.Weight, part.Bias, part.B = l.Weight.rows(from, n, l.In), l.Bias.rows(from, n, 1), l.B.rows(from, n, l.Rank)
		part.Magnitude = l.Magnitude.rows(from, n, 1)
		out, from = append(out, part), from+n
	}
	return out
}

// Layer is a layer of a network.
type Layer struct {
	AttentionNorm, MLPNorm     Weight // of what goes into attention and the MLP, or nothing
	AttentionPost, MLPPost     Weight // of what they give, or nothing
	QNorm, KNorm               Weight // of each head, of all heads as one, or nothing
	Q, K, V, O, Gate, Up, Down Linear
	// Rotary is the place of the layer's embedding in Shape.Rotaries; -1: none.
	Rotary int
	// Window is how many positions a token sees, its own among them; 0: all.
	Window int
}

// sees is the first position that a token at a position sees.
func (l *Layer) sees(position int) int {
	if l.Window == 0 {
		return 0
	}
	return max(0, position-l.Window+1)
}

// normsWhole reports whether the norms of queries and keys take all heads as one.
func (l *Layer) normsWhole() bool { return l.QNorm.Data != nil && len(l.QNorm.Data) == l.Q.Out }

// together are the rows that a norm of queries or keys sees in width numbers.
func together(width int, norm Weight) int { return width / len(norm.Data) }

// linears are the projections of a layer, always in the same order.
func (l *Layer) linears() [linears]*Linear {
	return [linears]*Linear{&l.Q, &l.K, &l.V, &l.O, &l.Gate, &l.Up, &l.Down}
}

// The places of the projections in lists of them.
const (
	atQ = iota
	atK
	atV
	atO
	atGate
	atUp
	atDown
	linears
)

// Network is a network with its weights.
type Network struct {
	Shape  Shape
	Embed  Weight // [Vocab, Hidden]
	Layers []Layer
	Norm   Weight
	Head   Weight // [Vocab, Hidden]; of a tied network, Embed
	// Dropout is the share of the inputs of adapters that a training sets to zero.
	Dropout float64
}

// headNorms reports whether the heads of queries and keys are normalised.
func (n *Network) headNorms() bool {
	return len(n.Layers) > 0 && n.Layers[0].QNorm.Data != nil
}

// changesGiven reports whether what attention and the MLP give is normalised or
// scaled before it is added.
func (n *Network) changesGiven() bool {
	return n.Shape.ResidualScale != 0 || len(n.Layers) > 0 && n.Layers[0].AttentionPost.Data != nil
}

// sameWeight reports whether both are one weight, as in projections that a
// checkpoint has as one.
func sameWeight(a, b Weight) bool {
	return len(a.Data) > 0 && len(b.Data) > 0 && &a.Data[0] == &b.Data[0]
}

func grow(old []float32, n int) []float32 { return kernel.Reuse(old, n) }

// up16 is the next multiple of sixteen.
func up16(n int) int { return (n + 15) &^ 15 }
