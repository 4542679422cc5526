package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// shape is a product and how its operands lie.
type shape struct {
	m, n, k      int
	aT, bT, add  bool
	spare, apart int // numbers before the operands, and more distance of rows
}

func (s shape) String() string {
	return fmt.Sprintf("%dx%dx%d aT=%t bT=%t add=%t %d %d", s.m, s.n, s.k, s.aT, s.bT, s.add, s.spare, s.apart)
}

// view is a matrix of random numbers in memory that is larger.
func (s shape) view(rng *rand.Rand, rows, columns int, turned bool) Matrix {
	if turned {
		return s.view(rng, columns, rows, false).T()
	}
	return Rows(random(rng, s.spare+rows*(columns+s.apart))[s.spare:], columns+s.apart)
}

// check computes a product on every path, and compares it with loops over
// float64, and bit by bit with the plain one. What lies around C must stay.
func (s shape) check(t *testing.T, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	a, b, c := s.view(rng, s.m, s.k, s.aT), s.view(rng, s.k, s.n, s.bT), s.view(rng, s.m, s.n, false)
	before := slices.Clone(c.Data)
	var plain []float32
	for _, p := range Paths() {
		copy(c.Data, before)
		on(p, func() { new(Scratch).Product(c, a, b, s.m, s.n, s.k, s.add) })
		if p == Plain {
			plain = slices.Clone(c.Data)
			s.compare(t, a, b, c, before)
		} else if err := equal(c.Data, plain); err != nil {
			t.Fatalf("%v: %s: %v", s, p, err)
		}
	}
}

func (s shape) compare(t *testing.T, a, b, c Matrix, before []float32) {
	t.Helper()
	inside := make([]bool, len(before))
	for i := range s.m {
		for j := range s.n {
			at := i*c.Row + j
			inside[at] = true
			sum, size := 0.0, 0.0
			if s.add {
				sum = float64(before[at])
				size = math.Abs(sum)
			}
			for k := range s.k {
				x := float64(a.Data[i*a.Row+k*a.Col]) * float64(b.Data[k*b.Row+j*b.Col])
				sum += x
				size += math.Abs(x)
			}
			if got := float64(c.Data[at]); math.Abs(got-sum) > size*float64(s.k+1)*0x1p-24+1e-40 {
				t.Fatalf("%v: (%d,%d) is %v, want %v", s, i, j, got, sum)
			}
		}
	}
	for at, is := range inside {
		if !is && c.Data[at] != before[at] {
			t.Fatalf("%v: number %d lies outside and has changed", s, at)
		}
	}
}

// TestProductAtEveryEdge has every size of a tile's rest, in all ways that
// operands lie.
func TestProductAtEveryEdge(t *testing.T) {
	for m := range 28 {
		for _, n := range []int{0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 49, 64} {
			for _, k := range []int{0, 1, 7, 8, 9, 20} {
				for way := range 8 {
					shape{m: m, n: n, k: k, aT: way&1 > 0, bT: way&2 > 0, add: way&4 > 0, spare: m % 3, apart: n % 5}.check(t, uint64(m*n+k))
				}
			}
		}
	}
}

// TestProductInSteps has more terms than one step, and more rows than a block
// of strips.
func TestProductInSteps(t *testing.T) {
	for _, s := range []shape{
		{m: 13, n: 33, k: deepest + 5}, {m: 30, n: 17, k: 2*deepestStrip + 1, aT: true, add: true}, {m: 13, n: 16, k: 2 * deepest, bT: true},
		{m: block/deepestStrip + 30, n: 5, k: deepestStrip + 1, aT: true}, {m: 100, n: 40, k: 70, apart: 100}, {m: 48, n: 64, k: 40, aT: true, bT: true},
	} {
		s.check(t, 3)
	}
}

func FuzzProduct(f *testing.F) {
	f.Add(uint64(1), uint8(12), uint8(32), uint16(5), uint8(0), uint8(0), uint8(0))
	f.Add(uint64(2), uint8(25), uint8(70), uint16(600), uint8(5), uint8(3), uint8(9))
	f.Fuzz(func(t *testing.T, seed uint64, m, n uint8, k uint16, way, spare, apart uint8) {
		shape{m: int(m), n: int(n), k: int(k % 700), aT: way&1 > 0, bT: way&2 > 0, add: way&4 > 0, spare: int(spare % 16), apart: int(apart)}.check(t, seed)
	})
}

// TestPacked compares the products with packed weights with those of the same
// weights as they are, bit by bit.
func TestPacked(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	for _, half := range []bool{true, false} {
		for _, out := range []int{1, 15, 16, 17, 31, 32, 33, 80} {
			for _, in := range []int{1, 24, 4*deepest + 3} {
				w := random(rng, out*in)
				if half {
					for i := range w {
						w[i] = math.Float32frombits(math.Float32bits(w[i]) &^ 0xffff)
					}
				}
				p := Pack(w, out, in)
				if (p.bfloat != nil) != half {
					t.Fatalf("bfloat16 %t, packed so %t", half, p.bfloat != nil)
				}
				for _, m := range []int{0, 1, 6, 7, 12, 13, 30} {
					x, y := random(rng, m*in), random(rng, m*out)
					want := slices.Clone(y)
					on(Plain, func() { new(Scratch).Product(Rows(want, out), Rows(x, in), Rows(w, in).T(), m, out, in, m%2 > 0) })
					onEachPath(t, func(t *testing.T) {
						got, s := slices.Clone(y), new(Scratch)
						middle := p.Panels() / 2
						p.Product(s, Rows(got, out), Rows(x, in), m, 0, middle, m%2 > 0)
						p.Product(s, Rows(got, out), Rows(x, in), m, middle, p.Panels(), m%2 > 0)
						if err := equal(got, want); err != nil {
							t.Fatalf("%d rows, %d outputs, %d inputs: %v", m, out, in, err)
						}
					})
				}
			}
		}
	}
}

// TestShortMatrix: the kernels look at no bounds, so that the products do.
func TestShortMatrix(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a matrix that is too short was taken")
		}
	}()
	x := make([]float32, 5)
	new(Scratch).Product(Rows(x, 2), Rows(x, 2), Rows(x, 2), 3, 2, 2, false)
}
