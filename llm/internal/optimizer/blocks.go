package optimizer

import (
	"math"
	"slices"
	"sync"
)

// block is how many numbers have a scale in common.
const block = 256

// blocks are numbers of 8 bits: each is a place in a scale, times the largest
// absolute value of its block.
type blocks struct {
	scale *scale
	codes []byte
	most  []float32 // of each block
}

// newBlocks makes so many zeros.
func newBlocks(s *scale, n int) blocks {
	return blocks{s, make([]byte, n), make([]float32, (n+block-1)/block)} // times zero each code is zero
}

// part are the numbers from one on to another, which begin blocks.
func (b blocks) part(from, to int) blocks {
	return blocks{b.scale, b.codes[from:to], b.most[from/block : (to+block-1)/block]}
}

// open writes the numbers to x.
func (b blocks) open(x []float32) {
	for at := 0; at < len(x); at += block {
		most := b.most[at/block]
		to := min(at+block, len(x))
		for i, code := range b.codes[at:to] {
			x[at+i] = b.scale.values[code] * most
		}
	}
}

// close takes the numbers of x, each as the nearest that there is.
func (b blocks) close(x []float32) {
	for at := 0; at < len(x); at += block {
		part := x[at:min(at+block, len(x))]
		most := float32(0)
		for _, v := range part {
			most = max(most, float32(math.Abs(float64(v))))
		}
		b.most[at/block] = most
		if most == 0 {
			clear(b.codes[at : at+len(part)])
			continue
		}
		for i, v := range part {
			b.codes[at+i] = b.scale.nearest(v / most)
		}
	}
}

// scale are the 256 values of the dynamic data type (Dettmers 2016), in order, where
// the first one is that of the lowest code.
type scale struct {
	values [256]float32
	// near is, by the upper 16 bits of a number, the code of a value that is not above
	// any such number.
	near [1 << 16]byte
}

// nearest is the code of the value that is nearest to x, the lower one of two that are
// as near.
func (s *scale) nearest(x float32) byte {
	i := int(s.near[math.Float32bits(x)>>16])
	for i < 255 && s.values[i+1] <= x {
		i++
	}
	if i < 255 && s.values[i+1]-x < x-s.values[i] {
		i++
	}
	return byte(i)
}

func newScale(values []float32) *scale {
	s := &scale{}
	copy(s.values[:], values)
	for upper := range s.near {
		low := math.Float32frombits(uint32(upper) << 16)
		if upper >= 1<<15 { // of negative numbers the one with the most bits is the lowest
			low = math.Float32frombits(uint32(upper)<<16 | 0xffff)
		}
		if low != low {
			continue
		}
		i, found := slices.BinarySearch(values, low)
		if !found {
			i = max(i-1, 0)
		}
		s.near[upper] = byte(i)
	}
	return s
}

// signed is the scale of numbers of both signs, and unsigned that of others. They
// are what create_dynamic_map of bitsandbytes makes.
var (
	signed   = sync.OnceValue(func() *scale { return newScale(dynamic(true)) })
	unsigned = sync.OnceValue(func() *scale { return newScale(dynamic(false)) })
)

// dynamic are the values of the dynamic data type, in order: for each power of ten as
// many steps as there are bits left.
func dynamic(signed bool) []float32 {
	out := []float32{0, 1}
	for power := range 7 {
		steps := 2 << power
		if signed {
			steps = 1 << power
		}
		unit := math.Pow(10, float64(power-6))
		edge := func(i int) float32 { // as linspace of torch has it
			step := float32(0.9) / float32(steps)
			if i <= steps/2 {
				return 0.1 + float32(step*float32(i))
			}
			return 1 - float32(step*float32(steps-i))
		}
		for i := range steps {
			mean := float32(edge(i)+edge(i+1)) / 2
			out = append(out, float32(unit*float64(mean)))
			if signed {
				out = append(out, float32(-unit*float64(mean)))
			}
		}
	}
	slices.Sort(out)
	return out
}
