package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// onEachPath runs a test on all paths of this processor. Tests that do so are
// not parallel, since the path is that of the process.
func onEachPath(t *testing.T, run func(t *testing.T)) {
	was := path
	defer func() { path = was }()
	for _, p := range Paths() {
		path = p
		t.Run(p.String(), run)
	}
}

// on runs f on a path.
func on(p Path, f func()) {
	was := path
	defer func() { path = was }()
	path = p
	f()
}

// random are numbers of all sizes that occur, and their negatives.
func random(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64())
		if rng.IntN(8) == 0 {
			out[i] *= float32(math.Exp(20 * rng.NormFloat64() / 4))
		}
	}
	return out
}

// equal compares bits, but for those of what is no number.
func equal(a, b []float32) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d numbers and %d", len(a), len(b))
	}
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) && !(a[i] != a[i] && b[i] != b[i]) {
			return fmt.Errorf("number %d of %d is %x, want %x", i, len(a), a[i], b[i])
		}
	}
	return nil
}

// TestPathsAreNamed prints which paths this processor has, so that a path that
// no test ran is seen.
func TestPathsAreNamed(t *testing.T) {
	t.Logf("this processor has the paths %v", Paths())
	was := path
	defer func() { path = was }()
	for _, p := range Paths() {
		if err := Use(p.String()); err != nil || Active() != p {
			t.Errorf("%s: %v, active is %s", p, err, Active())
		}
	}
	if err := Use("mmx"); err == nil {
		t.Error("an unknown path is in use")
	}
}

// TestFMA compares fma with sums of more bits, in the cases where rounding
// twice goes wrong.
func TestFMA(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ x, y, z, want float32 }{
		{1 + 0x1p-12, 1 + 0x1p-12, 0x1p-60, float32(1 + 0x1p-11 + 0x1p-23)}, // a tie but for the last term
		{1 + 0x1p-12, 1 + 0x1p-12, 0, 1 + 0x1p-11},
		{1 + 0x1p-12, 1 + 0x1p-12, -0x1p-60, 1 + 0x1p-11},
		{0x1p-100, 0x1p-100, 0x1p-149, 0x1p-149},
		{0x1p-75, 0x1p-75, 0x1p-149, 0x1p-148}, // just above half of the smallest, when added
		{0x1p-75, -0x1p-75, 0x1p-149, 0},       // a tie
		{3, 5, -15, 0},
	} {
		if c.x == 0x1p-75 {
			c.want = float32(float64(c.x)*float64(c.y) + float64(c.z)) // exact in float64
		}
		if got := fma(c.x, c.y, c.z); got != c.want {
			t.Errorf("%x·%x + %x is %x, want %x", c.x, c.y, c.z, got, c.want)
		}
	}
	if inf := float32(math.Inf(1)); fma(inf, 1, 1) != inf || fma(inf, 0, 1) == fma(inf, 0, 1) || fma(math.MaxFloat32, 2, 0) != inf {
		t.Error("infinite numbers")
	}
}

// TestFMAIsTheProcessors compares fma with the instruction, for numbers of any
// bits, and for such as nearly cancel or are too small for all bits.
func TestFMAIsTheProcessors(t *testing.T) {
	onEachPath(t, func(t *testing.T) {
		if path == Plain {
			return // it has no instruction
		}
		rng := rand.New(rand.NewPCG(1, 2))
		number := func() float32 {
			switch rng.IntN(3) {
			case 0:
				return math.Float32frombits(rng.Uint32())
			case 1: // few bits, so that sums come to lie in the middle
				return float32(math.Ldexp(float64(rng.IntN(1<<13)-1<<12), rng.IntN(60)-30))
			}
			return float32(math.Ldexp(float64(rng.Int32()), -100-rng.IntN(60)))
		}
		a, b, sums, want := make([]float32, 16), make([]float32, 16), [16]float32{}, make([]float32, 16)
		for range 50000 {
			for i := range a {
				a[i], b[i], sums[i] = number(), number(), number()
				if rng.IntN(2) == 0 {
					sums[i] = -a[i] * b[i]
				}
				want[i] = fma(a[i], b[i], sums[i])
			}
			x, y, z := slices.Clone(a), slices.Clone(b), sums
			dotVector(16, first(a), first(b), &sums)
			if err := equal(sums[:], want); err != nil {
				t.Fatalf("%v of\n%x\n%x\n%x", err, x, y, z)
			}
		}
	})
}

func TestExp(t *testing.T) {
	t.Parallel()
	for x := float32(-87); x <= 88; x += 0.00171 {
		want := math.Exp(float64(x))
		if off := math.Abs(float64(exp(x))-want) / want; off > 3e-7 {
			t.Fatalf("exp(%v) is off by %.2g", x, off)
		}
	}
	if exp(-1000) != exp(-87) || exp(1000) != exp(88) || exp(0) != 1 {
		t.Error("bounds")
	}
	if nan := exp(float32(math.NaN())); nan == nan {
		t.Errorf("of no number %v", nan)
	}
}
