package net

import (
	"math"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/half"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/weight"
)

// keptAs keeps a matrix in a type.
func keptAs(kind string) func(w []float32, out, in int) *kernel.Packed {
	return func(w []float32, out, in int) *kernel.Packed {
		switch kind {
		case "int8":
			return weight.QuantiseBytes(w, out, in, weight.ToBFloat16)
		case "nf4":
			return weight.QuantiseNF4(w, out, in, weight.ToBFloat16)
		case "int4":
			return weight.QuantiseIntegers(w, out, in, 2, weight.ToFloat32)
		}
		s, bits := weight.NewSixteen(out, in), make([]uint16, in)
		for o := range out {
			for i, v := range w[o*in : (o+1)*in] {
				bits[i] = half.ToBFloat16(v)
				if kind == "float16" {
					bits[i] = half.ToFloat16(v)
				}
			}
			s.SetRow(o, bits)
		}
		if kind == "float16" {
			return s.Float16()
		}
		return s.BFloat16()
	}
}

// keep keeps all matrices of a network.
func (o options) keep(n *Network) {
	keep := func(w *Weight, out, in int) {
		p := o.kept(w.Data, out, in)
		if *w = (Weight{Kept: p}); o.plain {
			var s kernel.Scratch
			w.Kept, w.Data = nil, make([]float32, out*in)
			for i := range out {
				p.Row(&s, w.Data[i*in:(i+1)*in], i)
			}
		}
	}
	c := n.Shape
	keep(&n.Embed, c.Vocab, c.Hidden)
	if o.tied {
		n.Head = n.Embed
	} else {
		keep(&n.Head, c.Vocab, c.Hidden)
	}
	for l := range n.Layers {
		for _, p := range n.Layers[l].linears() {
			keep(&p.Weight, p.Out, p.In)
		}
	}
}

// TestKeptIsFloat32: networks whose matrices are kept in fewer bits train and answer as
// those that have the same numbers in float32, bit by bit.
func TestKeptIsFloat32(t *testing.T) {
	for name, o := range variants() {
		if o.kept == nil {
			continue
		}
		got := training(t, o, 2)
		o.plain = true
		for i, v := range training(t, o, 2) {
			if math.Float32bits(got[i]) != math.Float32bits(v) {
				t.Fatalf("%s: number %d of %d is %v, in float32 it is %v", name, i, len(got), got[i], v)
			}
		}
	}
}

// TestKeptParts: parts of a matrix that is kept are those of its rows, wherever they
// begin.
func TestKeptParts(t *testing.T) {
	const in = 40
	w := make([]float32, 100*in)
	for i := range w {
		w[i] = float32(math.Sin(float64(i)))
	}
	for _, kind := range []string{"bfloat16", "float16", "int8", "nf4", "int4"} {
		p := keptAs(kind)(w, 100, in)
		var s kernel.Scratch
		first := 0
		for _, part := range (Linear{Out: 100, In: in, Weight: Weight{Kept: p}}).Parts(1, 64, 20, 16) {
			got, want := make([]float32, in), make([]float32, in)
			for i := range part.Out {
				part.Weight.row(&s, got, i)
				p.Row(&s, want, first+i)
				for j := range got {
					if got[j] != want[j] {
						t.Fatalf("%s: row %d of the part from %d differs", kind, i, first)
					}
				}
			}
			first += part.Out
		}
	}
}
