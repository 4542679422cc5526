package kernel

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/half"
)

// What follows makes float32 of weights that are kept in fewer bits. All of it works
// on rows of [PanelColumns] numbers, and looks at the lengths alone.

// unpackBFloat makes float32 of as many bfloat16, which is exact.
func unpackBFloat(dst []float32, src []uint16) {
	rows := unpacked(dst, len(src))
	if path != Plain {
		unpackBFloatVector(rows, first(dst), firstOf(src))
		return
	}
	for i, b := range src {
		dst[i] = half.FromBFloat16(b)
	}
}

// UnpackHalf makes float32 of as many float16, which is exact.
func UnpackHalf(dst []float32, src []uint16) {
	rows := unpacked(dst, len(src))
	if path != Plain {
		unpackHalfVector(rows, first(dst), firstOf(src))
		return
	}
	for i, b := range src {
		dst[i] = half.FromFloat16(b)
	}
}

// Factors are those of the outputs of a panel.
type Factors [PanelColumns]float32

// UnpackBytes multiplies whole numbers by the factors of their outputs.
func UnpackBytes(dst []float32, src []int8, factors *Factors) {
	rows := unpacked(dst, len(src))
	if path != Plain {
		unpackBytesVector(rows, first(dst), firstOf(src), first(factors[:]))
		return
	}
	for i, b := range src {
		dst[i] = float32(b) * factors[i%PanelColumns]
	}
}

// UnpackNibbles multiplies numbers of a table by the factors of their outputs. Byte i
// of a row has the index of output i in its lower four bits, and that of output i+16
// in the upper ones.
func UnpackNibbles(dst []float32, src []byte, table *[16]float32, factors *Factors) {
	rows := unpacked(dst, 2*len(src))
	if path != Plain {
		unpackNibblesVector(rows, first(dst), firstOf(src), first(table[:]), first(factors[:]))
		return
	}
	const n = PanelColumns / 2
	for i, b := range src {
		at := i/n*PanelColumns + i%n
		dst[at] = table[b&15] * factors[i%n]
		dst[at+n] = table[b>>4] * factors[i%n+n]
	}
}

// RoundBFloat rounds to bfloat16, to the nearest and to even between two. The length is
// a multiple of 16.
func RoundBFloat(x []float32) {
	if path != Plain {
		roundBFloatVector(len(x)/16, first(x))
		return
	}
	for i, v := range x {
		b := math.Float32bits(v)
		x[i] = math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
	}
}

// RoundHalf is RoundBFloat for float16.
func RoundHalf(x []float32) {
	if path != Plain {
		roundHalfVector(len(x)/16, first(x))
		return
	}
	for i, v := range x {
		x[i] = half.FromFloat16(half.ToFloat16(v))
	}
}

// unpacked is how many rows n numbers are, that dst has room for.
func unpacked(dst []float32, n int) int {
	if len(dst) != n || n%PanelColumns != 0 {
		panic("kernel: what is unpacked has another length than its place")
	}
	return n / PanelColumns
}
