package weight

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/half"
	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// kinds are all ways to keep a weight, with float32 numbers of which it is made.
func kinds() map[string]func(w []float32, out, in int) *kernel.Packed {
	sixteen := func(w []float32, out, in int, bits func(float32) uint16) *Sixteen {
		s := NewSixteen(out, in)
		row := make([]uint16, in)
		for o := range out {
			for i, v := range w[o*in : (o+1)*in] {
				row[i] = bits(v)
			}
			s.SetRow(o, row)
		}
		return s
	}
	single := func(w []float32, out, in int) *kernel.Packed { // nf4 without double quantisation
		n := NewNibbles(out, in, 64, NF4(), nil, ToFloat16)
		codes, scales := make([]byte, (len(w)+1)/2), make([]float32, (len(w)+63)/64)
		for i := range codes {
			codes[i] = byte(i * 37)
		}
		for i := range scales {
			scales[i] = w[i]
		}
		n.Set(0, codes)
		n.SetFactors(scales)
		return kernel.PackPanels(n, out, in)
	}
	return map[string]func(w []float32, out, in int) *kernel.Packed{
		"float32":            kernel.Pack,
		"bfloat16":           func(w []float32, out, in int) *kernel.Packed { return sixteen(w, out, in, half.ToBFloat16).BFloat16() },
		"float16":            func(w []float32, out, in int) *kernel.Packed { return sixteen(w, out, in, half.ToFloat16).Float16() },
		"int8":               func(w []float32, out, in int) *kernel.Packed { return QuantiseBytes(w, out, in, ToFloat32) },
		"int8, bfloat16":     func(w []float32, out, in int) *kernel.Packed { return QuantiseBytes(w, out, in, ToBFloat16) },
		"nf4":                func(w []float32, out, in int) *kernel.Packed { return QuantiseNF4(w, out, in, ToFloat32) },
		"nf4, bfloat16":      func(w []float32, out, in int) *kernel.Packed { return QuantiseNF4(w, out, in, ToBFloat16) },
		"nf4, float16":       func(w []float32, out, in int) *kernel.Packed { return QuantiseNF4(w, out, in, ToFloat16) },
		"nf4, plain factors": single,
		"int4": func(w []float32, out, in int) *kernel.Packed {
			return QuantiseIntegers(w, out, in, divisor(in, 32), ToFloat32)
		},
	}
}

func normal(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
	}
	return out
}

// values unpacks a weight, row by row.
func values(p *kernel.Packed) []float32 {
	var s kernel.Scratch
	out := make([]float32, p.Out*p.In)
	for o := range p.Out {
		p.Row(&s, out[o*p.In:(o+1)*p.In], o)
	}
	return out
}

// onEachPath runs f on all paths, the plain one first.
func onEachPath(t *testing.T, f func(path kernel.Path)) {
	t.Helper()
	was := kernel.Active()
	defer func() { _ = kernel.Use(was.String()) }()
	for _, p := range kernel.Paths() {
		if err := kernel.Use(p.String()); err != nil {
			t.Fatal(err)
		}
		f(p)
	}
}

// equal compares bits.
func equal(a, b []float32) error {
	for i := range b {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return fmt.Errorf("number %d of %d is %x, want %x", i, len(b), a[i], b[i])
		}
	}
	return nil
}

// check compares both products of a weight, for m rows, on all paths with those of
// plain Go with its numbers in float32, bit by bit, and these with float64.
func check(t *testing.T, kind string, p *kernel.Packed, seed uint64, m int, add bool) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 5))
	x, dy, y, dx := normal(rng, m*p.In), normal(rng, m*p.Out), normal(rng, m*p.Out), normal(rng, m*p.In)
	var w, wantY, wantX []float32
	onEachPath(t, func(path kernel.Path) {
		s := new(kernel.Scratch)
		gotY, gotX := slices.Clone(y), slices.Clone(dx)
		if path == kernel.Plain {
			w, wantY, wantX = values(p), slices.Clone(y), slices.Clone(dx)
			s.Product(kernel.Rows(wantY, p.Out), kernel.Rows(x, p.In), kernel.Rows(w, p.In).T(), m, p.Out, p.In, add)
			s.Product(kernel.Rows(wantX, p.In), kernel.Rows(dy, p.Out), kernel.Rows(w, p.In), m, p.In, p.Out, add)
			near(t, kind, wantY, y, x, w, m, p.Out, p.In, add)
		} else if err := equal(values(p), w); err != nil {
			t.Fatalf("%s %dx%d: %s: %v", kind, p.Out, p.In, path, err)
		}
		middle := p.Panels() / 2
		p.Product(s, kernel.Rows(gotY, p.Out), kernel.Rows(x, p.In), m, 0, middle, add)
		p.Product(s, kernel.Rows(gotY, p.Out), kernel.Rows(x, p.In), m, middle, p.Panels(), add)
		if err := equal(gotY, wantY); err != nil {
			t.Fatalf("%s %dx%d, %d rows: %s: %v", kind, p.Out, p.In, m, path, err)
		}
		middle = p.In / 2 / 32 * 32
		p.Back(s, kernel.Rows(gotX, p.In), kernel.Rows(dy, p.Out), m, 0, middle, add)
		p.Back(s, kernel.Rows(gotX, p.In), kernel.Rows(dy, p.Out), m, middle, p.In, add)
		if err := equal(gotX, wantX); err != nil {
			t.Fatalf("%s %dx%d back, %d rows: %s: %v", kind, p.Out, p.In, m, path, err)
		}
	})
}

// near compares a product with loops over float64.
func near(t *testing.T, kind string, got, y, x, w []float32, m, out, in int, add bool) {
	t.Helper()
	for i := range m {
		for o := range out {
			sum, size := 0.0, 0.0
			if add {
				sum = float64(y[i*out+o])
				size = math.Abs(sum)
			}
			for k := range in {
				v := float64(x[i*in+k]) * float64(w[o*in+k])
				sum += v
				size += math.Abs(v)
			}
			if v := float64(got[i*out+o]); math.Abs(v-sum) > size*float64(in+1)*0x1p-24+1e-40 {
				t.Fatalf("%s: (%d,%d) is %v, want %v", kind, i, o, v, sum)
			}
		}
	}
}

// TestProducts: products with weights of every type are those with their numbers in
// float32, at every edge.
func TestProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for kind, keep := range kinds() {
		for _, out := range []int{1, 17, 32, 70} {
			for _, in := range []int{1, 33, 64, 130} {
				p := keep(normal(rng, out*in), out, in)
				for _, m := range []int{0, 1, 13, 24, 25} {
					check(t, kind, p, uint64(out*in+m), m, m%2 > 0)
				}
			}
		}
	}
}

// TestProductsInSteps has more terms than one step, and more rows than a block.
func TestProductsInSteps(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	for kind, keep := range kinds() {
		for _, s := range [][3]int{{3, 70, 1100}, {30, 1100, 70}, {400, 40, 520}} {
			check(t, kind, keep(normal(rng, s[1]*s[2]), s[1], s[2]), 1, s[0], true)
		}
	}
}

func FuzzProducts(f *testing.F) {
	f.Add(uint64(1), uint8(12), uint8(32), uint16(5))
	f.Add(uint64(2), uint8(25), uint8(70), uint16(600))
	f.Fuzz(func(t *testing.T, seed uint64, m, out uint8, in uint16) {
		o, i := int(out%100)+1, int(in%700)+1
		rng := rand.New(rand.NewPCG(seed, 2))
		for kind, keep := range kinds() {
			check(t, kind, keep(normal(rng, o*i), o, i), seed, int(m%40), seed%2 > 0)
		}
	})
}

// TestRows: rows of a weight are those of the whole, whether they begin a panel or not.
func TestRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	for kind, keep := range kinds() {
		const in = 72
		p := keep(normal(rng, 100*in), 100, in)
		all := values(p)
		for _, from := range []int{0, 32, 64, 5} {
			if err := equal(values(p.Rows(from, 30)), all[from*in:(from+30)*in]); err != nil {
				t.Errorf("%s from %d: %v", kind, from, err)
			}
		}
	}
}

// TestUnpacked has every number of a weight once, and says how much memory it takes.
func TestUnpacked(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 4))
	const out, in = 64, 320
	bits := map[string]float64{"float32": 32, "bfloat16": 16, "float16": 16, "int8": 8.1, "int8, bfloat16": 8.1, "nf4": 4.15, "nf4, bfloat16": 4.15, "nf4, float16": 4.15, "nf4, plain factors": 4.5, "int4": 5}
	for kind, keep := range kinds() {
		p := keep(normal(rng, out*in), out, in)
		all, seen := values(p), 0
		err := p.Unpacked(func(part []float32, output, input int) error {
			for i, v := range part {
				o, k := output+i%kernel.PanelColumns, input+i/kernel.PanelColumns
				if seen++; all[o*in+k] != v {
					return fmt.Errorf("(%d,%d) is %v, want %v", o, k, v, all[o*in+k])
				}
			}
			return nil
		})
		if err != nil || seen != out*in {
			t.Errorf("%s: %d numbers, %v", kind, seen, err)
		}
		if has := 8 * float64(p.Bytes()) / (out * in); has > bits[kind] {
			t.Errorf("%s takes %.3f bits of a weight, want %.3f", kind, has, bits[kind])
		}
	}
}

// TestQuantisation: what is quantised is near to what it was made from, and what has no
// size stays zero.
func TestQuantisation(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 4))
	const out, in = 40, 96
	w := normal(rng, out*in)
	for kind, most := range map[string]float64{"int8": 0.01, "nf4": 0.12, "int4": 0.13} {
		p := kinds()[kind](w, out, in)
		off, size := 0.0, 0.0
		for i, v := range values(p) {
			off += float64(v-w[i]) * float64(v-w[i])
			size += float64(w[i]) * float64(w[i])
		}
		if r := math.Sqrt(off / size); r > most {
			t.Errorf("%s is off by %.4f", kind, r)
		}
		for i, v := range values(kinds()[kind](make([]float32, out*in), out, in)) {
			if v != 0 {
				t.Errorf("%s: number %d of nothing but zeros is %v", kind, i, v)
				break
			}
		}
	}
}

// TestSizes: the sizes of weights that are not made yet are those of such weights.
func TestSizes(t *testing.T) {
	t.Parallel()
	for _, shape := range [][2]int{{32, 64}, {50, 96}, {7, 33}, {100, 257}} {
		out, in := shape[0], shape[1]
		w := make([]float32, out*in)
		for i := range w {
			w[i] = float32(i%17) - 8
		}
		s := NewSixteen(out, in)
		for name, c := range map[string]struct{ size, is int }{
			"bfloat16": {SixteenSize(out, in), s.BFloat16().Bytes()},
			"float16":  {SixteenSize(out, in), s.Float16().Bytes()},
			"8 bits":   {BytesSize(out, in, in), QuantiseBytes(w, out, in, ToFloat32).Bytes()},
			"nf4":      {NF4Size(out, in), QuantiseNF4(w, out, in, ToBFloat16).Bytes()},
			"numbers":  {NibblesSize(out, in, 64, 0), kernel.PackPanels(NewNibbles(out, in, 64, NF4(), nil, ToFloat32), out, in).Bytes()},
		} {
			if c.size != c.is {
				t.Errorf("%s of %d by %d: %d bytes, and it has %d", name, out, in, c.size, c.is)
			}
		}
	}
}
