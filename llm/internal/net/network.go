package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// Shape is the size of a network.
type Shape struct {
	Vocab, Hidden, Intermediate int
	Heads, KVHeads, HeadDim     int
	// Epsilon is that of RMSNorm.
	Epsilon float32
	// Frequencies are those of the rotary embedding, HeadDim/2 of them, in
	// radians for each position.
	Frequencies []float64
}

// queries is the length of the queries of a position.
func (s Shape) queries() int { return s.Heads * s.HeadDim }

// keys is the length of the keys, or values, of a position.
func (s Shape) keys() int { return s.KVHeads * s.HeadDim }

// Weight is a matrix or a vector. Without Grad it is frozen, without Data the
// network does not have it.
type Weight struct{ Data, Grad []float32 }

// Linear is a projection: y = x·Wᵀ + bias, and what an adapter adds, see
// [Adapter].
type Linear struct {
	Out, In int
	Weight  Weight // [Out, In]
	Bias    Weight // [Out], or nothing
	A, B    Weight // [Rank, In] and [Out, Rank], or nothing
}

// Layer is a layer of a network.
type Layer struct {
	AttentionNorm, MLPNorm     Weight
	QNorm, KNorm               Weight // of each head, or nothing
	Q, K, V, O, Gate, Up, Down Linear
}

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

// Adapter says what adapters add to projections: Scale·x·Aᵀ·Bᵀ.
type Adapter struct {
	Rank  int
	Scale float32
	// Dropout is the share of the inputs that a training sets to zero.
	Dropout float64
}

// Network is a network with its weights.
type Network struct {
	Shape   Shape
	Embed   Weight // [Vocab, Hidden]
	Layers  []Layer
	Norm    Weight
	Head    Weight // [Vocab, Hidden]; of a tied network, Embed
	Adapter Adapter
}

// grow is a slice of n numbers, old where that is large enough. What it holds is
// undefined.
func grow(old []float32, n int) []float32 {
	if cap(old) >= n {
		return old[:n]
	}
	return kernel.Aligned(n)
}

// up16 is the next multiple of sixteen.
func up16(n int) int { return (n + 15) &^ 15 }
