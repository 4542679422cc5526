package weight

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkQuantise reports how long it takes to quantise a weight of 885 thousand.
func BenchmarkQuantise(b *testing.B) {
	const out, in = 1536, 576
	w := normal(rand.New(rand.NewPCG(1, 2)), out*in)
	b.Run("nf4", func(b *testing.B) {
		for b.Loop() {
			QuantiseNF4(w, out, in, ToBFloat16)
		}
	})
	b.Run("int8", func(b *testing.B) {
		for b.Loop() {
			QuantiseBytes(w, out, in, ToFloat32)
		}
	})
}
