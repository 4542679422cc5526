package weight

import (
	"math"
	"slices"
	"sync"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// NF4 is the table of nf4: quantiles of a normal distribution (Dettmers et al. 2023,
// appendix E), with the numbers of bitsandbytes.
func NF4() [16]float32 {
	return [16]float32{
		-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
	}
}

// integers is the table of whole numbers of four bits.
func integers() (t [16]float32) {
	for i := range t {
		t[i] = float32(i - 8)
	}
	return t
}

// The sizes of blocks that bitsandbytes has: of weights, and of their factors.
const (
	NF4Block    = 64
	nestedBlock = 256
)

// dynamic is the table of 256 numbers in which bitsandbytes keeps factors: numbers of
// seven sizes, the larger the finer (Dettmers 2016).
var dynamic = sync.OnceValue(func() *[256]float32 {
	values := []float32{0, 1}
	for i := range 7 {
		size := math.Pow10(i - 6)
		n := 1 << i
		for j := range n {
			edge := func(j int) float32 { return float32(0.1 + 0.9*float64(j)/float64(n)) }
			mean := float64((edge(j) + edge(j+1)) / 2)
			values = append(values, float32(size*mean), float32(-size*mean))
		}
	}
	slices.Sort(values)
	return (*[256]float32)(values)
})

// QuantiseNF4 makes four bits of a weight, as bitsandbytes does with double
// quantisation. The mean of the factors, which is subtracted from them, is rounded from
// float64, and each of them becomes the nearest value, where bitsandbytes on a CPU takes
// the other one for some that lie next to the middle between two.
func QuantiseNF4(w []float32, out, in int, r Rounding) *kernel.Packed {
	table := NF4()
	blocks := (len(w) + NF4Block - 1) / NF4Block
	scales, sum := make([]float32, blocks), 0.0
	for i := range scales {
		scales[i] = largest(w[i*NF4Block : min(len(w), (i+1)*NF4Block)])
		sum += float64(scales[i])
	}
	nested := quantiseFactors(scales, float32(sum/float64(blocks)))
	n := NewNibbles(out, in, NF4Block, table, nested, r)
	var between [15]float32
	for i := range between {
		between[i] = (table[i] + table[i+1]) / 2
	}
	codes := make([]byte, NF4Block/2)
	for i, s := range scales {
		block := w[i*NF4Block : min(len(w), (i+1)*NF4Block)]
		clear(codes)
		f := 1 / max(s, 1e-38)
		for j, v := range block {
			v *= f
			code := byte(0)
			for _, step := range [4]byte{8, 4, 2, 1} {
				if v > between[code+step-1] {
					code += step
				}
			}
			codes[j/2] |= code << (4 - j%2*4)
		}
		n.Set(i*NF4Block, codes[:(len(block)+1)/2])
	}
	return kernel.PackPanels(n, out, in)
}

// largest is the largest size of a number.
func largest(x []float32) float32 {
	most := float32(0)
	for _, v := range x {
		most = max(most, v, -v)
	}
	return most
}

// quantiseFactors makes eight bits of factors, less an offset.
func quantiseFactors(scales []float32, offset float32) *Nested {
	n := &Nested{Codes: make([]byte, len(scales)), Table: dynamic(), Block: nestedBlock, Offset: offset}
	for at := 0; at < len(scales); at += nestedBlock {
		block := scales[at:min(len(scales), at+nestedBlock)]
		most := float32(0)
		for _, v := range block {
			most = max(most, v-offset, offset-v)
		}
		n.Factors = append(n.Factors, most)
		for i, v := range block {
			n.Codes[at+i] = nearest(n.Table, (v-offset)/max(most, math.SmallestNonzeroFloat32))
		}
	}
	return n
}

// nearest is the index of the nearest number of a table, the lower one between two.
func nearest(table *[256]float32, v float32) byte {
	i, found := slices.BinarySearch(table[:], v)
	switch {
	case found:
		return byte(i)
	case i == 0:
		return 0
	case i == len(table) || v-table[i-1] <= table[i]-v:
		return byte(i - 1)
	}
	return byte(i)
}

// QuantiseBytes makes eight bits of a weight, with one factor for each row, as LLM.int8
// keeps its weights (Dettmers et al. 2022): the largest size of the row is 127.
func QuantiseBytes(w []float32, out, in int, r Rounding) *kernel.Packed {
	b := NewBytes(out, in, in, r)
	scales, codes := make([]float32, out), make([]int8, in)
	for o := range out {
		row := w[o*in : (o+1)*in]
		most := largest(row)
		scales[o] = most / 127
		f := float32(0)
		if most > 0 {
			f = 127 / most
		}
		for i, v := range row {
			codes[i] = int8(min(127, max(-127, math.RoundToEven(float64(v*f)))))
		}
		b.SetRow(o, codes)
	}
	b.SetFactors(scales)
	return kernel.PackPanels(b, out, in)
}

// QuantiseIntegers makes whole numbers of four bits of a weight, with a factor for each
// group of so many inputs, a divisor of in: the largest size of a group is 7.
func QuantiseIntegers(w []float32, out, in, group int, r Rounding) *kernel.Packed {
	n := NewNibbles(out, in, group, integers(), nil, r)
	scales, codes := make([]float32, len(w)/group), make([]byte, (len(w)+1)/2)
	for i := range scales {
		block := w[i*group : (i+1)*group]
		scales[i] = largest(block) / 7
		for j, v := range block {
			code := byte(8)
			if scales[i] > 0 {
				code = byte(min(7, max(-7, math.RoundToEven(float64(v/scales[i])))) + 8)
			}
			at := i*group + j
			codes[at/2] |= code << (4 - at%2*4)
		}
	}
	n.Set(0, codes)
	n.SetFactors(scales)
	return kernel.PackPanels(n, out, in)
}
