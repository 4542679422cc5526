package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/half"
)

// TestUnpack: every number of every way of keeping is unpacked as the formats say,
// with the same bits on every path.
func TestUnpack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	var factors Factors
	for i := range factors {
		factors[i] = float32(rng.NormFloat64())
	}
	var table [16]float32
	for i := range table {
		table[i] = float32(rng.NormFloat64())
	}
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	bytes, nibbles := make([]int8, 33*PanelColumns), make([]byte, 33*PanelColumns/2)
	for i := range bytes {
		bytes[i] = int8(i - i/PanelColumns)
	}
	for i := range nibbles {
		nibbles[i] = byte(i + i/16)
	}
	onEachPath(t, func(t *testing.T) {
		got := make([]float32, len(all))
		unpackBFloat(got, all)
		for i, v := range got {
			if want := math.Float32frombits(uint32(i) << 16); math.Float32bits(v) != math.Float32bits(want) {
				t.Fatalf("bfloat16 %#04x is %x, want %x", i, v, want)
			}
		}
		UnpackHalf(got, all)
		for i, v := range got {
			if want := half.FromFloat16(uint16(i)); v != want && want == want || (v != v) != (want != want) {
				t.Fatalf("float16 %#04x is %x, want %x", i, v, want)
			}
		}
		for rows := range 34 {
			got := make([]float32, rows*PanelColumns+1)
			got[rows*PanelColumns] = 5
			UnpackBytes(got[:rows*PanelColumns], bytes[:rows*PanelColumns], &factors)
			for i, v := range got[:rows*PanelColumns] {
				if want := float32(bytes[i]) * factors[i%PanelColumns]; v != want {
					t.Fatalf("byte %d of %d rows is %v, want %v", i, rows, v, want)
				}
			}
			UnpackNibbles(got[:rows*PanelColumns], nibbles[:rows*PanelColumns/2], &table, &factors)
			for i, v := range got[:rows*PanelColumns] {
				row, column := i/PanelColumns, i%PanelColumns
				code := nibbles[row*16+column%16] >> (column / 16 * 4) & 15
				if want := table[code] * factors[column]; v != want {
					t.Fatalf("nibble %d of %d rows is %v, want %v", i, rows, v, want)
				}
			}
			if got[rows*PanelColumns] != 5 {
				t.Fatalf("%d rows: what lies behind them has changed", rows)
			}
		}
	})
}

// TestRound: all paths round alike, to what has the bits of the type, and as near as
// these allow.
func TestRound(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 9))
	x := []float32{0, float32(math.Copysign(0, -1)), 1 + 0x1p-8, 1 + 0x3p-8, 0x1p-24, 0x1p-25, 0x1.8p-24, 65504, 65519, 65520, -70000, 1e-40, 0x1p-14, 0x1.ffcp-15}
	for len(x) < 4096 {
		x = append(x, math.Float32frombits(rng.Uint32()), float32(rng.NormFloat64()), float32(rng.NormFloat64()*1e-5))
	}
	x = slices.DeleteFunc(x, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) })
	x = x[:len(x)/16*16]
	onEachPath(t, func(t *testing.T) {
		b, h := slices.Clone(x), slices.Clone(x)
		RoundBFloat(b)
		RoundHalf(h)
		for i, v := range x {
			if want := half.FromBFloat16(half.ToBFloat16(v)); math.Float32bits(b[i]) != math.Float32bits(want) {
				t.Fatalf("%x rounds to %x, want %x", v, b[i], want)
			}
			if want := half.FromFloat16(half.ToFloat16(v)); math.Float32bits(h[i]) != math.Float32bits(want) {
				t.Fatalf("%x rounds to %x in float16, want %x", v, h[i], want)
			}
		}
	})
}
