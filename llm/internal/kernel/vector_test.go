package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// call is a kernel on vectors: it changes them, and may return a number.
type call struct {
	vectors int
	run     func(x [][]float32) float32
	// want computes the same in float64.
	want func(x [][]float64) float64
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// tanhGelu is the tanh form of GELU as Hendrycks and Gimpel write it.
func tanhGelu(x float64) float64 {
	return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
}

// root is 1/√(mean of x² + eps).
func root(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return 1 / math.Sqrt(sum/float64(max(len(x), 1))+1e-5)
}

func calls() map[string]call {
	adam := AdamW{Rate: 0.01, Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.1, Scale: 0.5, Step: 3}
	return map[string]call{
		"Add": {2, func(x [][]float32) float32 { Add(x[0], x[1]); return 0 }, func(x [][]float64) float64 {
			for i := range x[0] {
				x[0][i] += x[1][i]
			}
			return 0
		}},
		"Scale": {1, func(x [][]float32) float32 { Scale(x[0], 0.3); return 0 }, func(x [][]float64) float64 {
			for i := range x[0] {
				x[0][i] *= float64(float32(0.3))
			}
			return 0
		}},
		"Dot": {2, func(x [][]float32) float32 { return Dot(x[0], x[1]) }, func(x [][]float64) (sum float64) {
			for i := range x[0] {
				sum += x[0][i] * x[1][i]
			}
			return sum
		}},
		"Max": {1, func(x [][]float32) float32 { return Max(x[0]) }, func(x [][]float64) float64 {
			return slices.Max(append(x[0], math.Inf(-1)))
		}},
		"ExpSum": {1, func(x [][]float32) float32 { return ExpSum(x[0], 0.5, -1.5) }, func(x [][]float64) (sum float64) {
			for i, v := range x[0] {
				x[0][i] = math.Exp(max(-87, v*0.5-1.5))
				sum += x[0][i]
			}
			return sum
		}},
		"Rotate": {4, func(x [][]float32) float32 { Rotate(x[0], x[1], x[2], x[3]); return 0 }, func(x [][]float64) float64 {
			for i := range x[0] {
				a, b := x[0][i], x[1][i]
				x[0][i], x[1][i] = a*x[2][i]-b*x[3][i], b*x[2][i]+a*x[3][i]
			}
			return 0
		}},
		"Norm": {3, func(x [][]float32) float32 { return Norm(x[0], x[1], x[2], 1e-5) }, func(x [][]float64) float64 {
			r := root(x[1])
			for i := range x[0] {
				x[0][i] = x[1][i] * r * x[2][i]
			}
			return r
		}},
		"NormBack": {4, func(x [][]float32) float32 { NormBack(x[0], x[1], x[2], x[3], 0.25); return 0 }, func(x [][]float64) float64 {
			sum, n := 0.0, float64(len(x[0]))
			for i := range x[0] {
				sum += x[1][i] * x[3][i] * x[2][i]
			}
			for i := range x[0] {
				x[0][i] += x[1][i]*x[3][i]*0.25 - x[2][i]*sum*0.25*0.25*0.25/n
			}
			return 0
		}},
		"NormWeight": {3, func(x [][]float32) float32 { NormWeight(x[0], x[1], x[2], 0.25); return 0 }, func(x [][]float64) float64 {
			for i := range x[0] {
				x[0][i] += x[1][i] * x[2][i] * 0.25
			}
			return 0
		}},
		"Gate": {3, func(x [][]float32) float32 { Gate(x[0], x[1], x[2]); return 0 }, func(x [][]float64) float64 {
			for i, g := range x[1] {
				x[0][i] = g * sigmoid(max(g, -88)) * x[2][i]
			}
			return 0
		}},
		"GateBack": {5, func(x [][]float32) float32 { GateBack(x[0], x[1], x[2], x[3], x[4]); return 0 }, func(x [][]float64) float64 {
			for i, g := range x[3] {
				s, d, u := sigmoid(max(g, -88)), x[1][i], x[4][i]
				x[0][i], x[1][i], x[2][i] = d*u*(s+g*s*(1-s)), d*g*s, g*s*u
			}
			return 0
		}},
		"Gelu": {3, func(x [][]float32) float32 { Gelu(x[0], x[1], x[2]); return 0 }, func(x [][]float64) float64 {
			for i, g := range x[1] {
				x[0][i] = tanhGelu(g) * x[2][i]
			}
			return 0
		}},
		"GeluBack": {5, func(x [][]float32) float32 { GeluBack(x[0], x[1], x[2], x[3], x[4]); return 0 }, func(x [][]float64) float64 {
			for i, g := range x[3] {
				slope := (tanhGelu(g+1e-5) - tanhGelu(g-1e-5)) / 2e-5
				d, u := x[1][i], x[4][i]
				x[0][i], x[1][i], x[2][i] = d*u*slope, d*tanhGelu(g), tanhGelu(g)*u
			}
			return 0
		}},
		"Softcap": {1, func(x [][]float32) float32 { Softcap(x[0], 0.5, 3); return 0 }, func(x [][]float64) float64 {
			for i, v := range x[0] {
				x[0][i] = 3 * math.Tanh(v*0.25)
			}
			return 0
		}},
		"SoftcapBack": {2, func(x [][]float32) float32 { SoftcapBack(x[0], x[1], 0.5, 3); return 0 }, func(x [][]float64) float64 {
			for i, y := range x[1] {
				x[0][i] *= (1 - y*y/9) * 0.75
			}
			return 0
		}},
		"AttendBack": {2, func(x [][]float32) float32 { AttendBack(x[0], x[1], 0.5, -1.5, 0.75); return 0 }, func(x [][]float64) float64 {
			for i := range x[0] {
				x[0][i] = math.Exp(max(-87, x[0][i]*0.5-1.5))
				x[1][i] = (x[1][i] - 0.75) * x[0][i] * 0.5
			}
			return 0
		}},
		"AdamW": {4, func(x [][]float32) float32 {
			for i, v := range x[3] { // a mean of squares
				x[3][i] = max(v, -v)
			}
			adam.Update(x[0], x[1], x[2], x[3])
			return 0
		}, func(x [][]float64) float64 {
			for i := range x[0] {
				d := x[1][i] * 0.5
				m, v := 0.9*x[2][i]+0.1*d, 0.99*math.Abs(x[3][i])+0.01*d*d
				x[0][i] = x[0][i]*(1-0.01*0.1) - 0.01*m/(1-0.9*0.9*0.9)/(math.Sqrt(v/(1-0.99*0.99*0.99))+1e-8)
				x[2][i], x[3][i] = m, v
			}
			return 0
		}},
	}
}

// usual are numbers of the sizes that a network has, where sums do not lose
// what float64 keeps.
func usual(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(rng.NormFloat64() * 2)
	}
	return out
}

// TestVectors compares every kernel at every length with float64, and on every
// path bit by bit with the plain loop.
func TestVectors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	lengths := []int{2047, 2048, 2049, 5000}
	for n := range 70 {
		lengths = append(lengths, n)
	}
	for name, c := range calls() {
		for _, n := range lengths {
			compareVectors(t, name, c, n, func(n int) []float32 { return usual(rng, n) }, true)
			compareVectors(t, name, c, n, func(n int) []float32 { return random(rng, n) }, false)
		}
	}
}

// compareVectors compares with float64 only where asked.
func compareVectors(t *testing.T, name string, c call, n int, numbers func(n int) []float32, near bool) {
	t.Helper()
	start := make([][]float32, c.vectors)
	exact := make([][]float64, c.vectors)
	for i := range start {
		start[i] = numbers(n)
		for _, v := range start[i] {
			exact[i] = append(exact[i], float64(v))
		}
	}
	var plain [][]float32
	var result float32
	for _, p := range Paths() {
		x := make([][]float32, c.vectors)
		for i := range x {
			x[i] = slices.Clone(start[i])
		}
		var r float32
		on(p, func() { r = c.run(x) })
		if p == Plain {
			plain, result = x, r
			continue
		}
		if err := equal([]float32{r}, []float32{result}); err != nil {
			t.Fatalf("%s of %d: %s returned: %v", name, n, p, err)
		}
		for i := range x {
			if err := equal(x[i], plain[i]); err != nil {
				t.Fatalf("%s of %d: %s: vector %d: %v", name, n, p, i, err)
			}
		}
	}
	if !near {
		return
	}
	within := func(got float32, want float64) bool {
		return float64(got) == want || math.Abs(float64(got)-want) <= 2e-5*math.Abs(want)+3e-5
	}
	if want := c.want(exact); n > 0 && !within(result, want) {
		t.Fatalf("%s of %d: returned %v, want %v", name, n, result, want)
	}
	for i := range plain {
		for j, v := range plain[i] {
			if !within(v, exact[i][j]) {
				t.Fatalf("%s of %d: vector %d: number %d is %v, want %v", name, n, i, j, v, exact[i][j])
			}
		}
	}
}

// TestStrangeNumbers: what is no number and what is infinite goes through every
// path alike, so that a damaged weight shows in the loss.
func TestStrangeNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	strange := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e-42, -1e-42, 0, float32(math.Copysign(0, -1)), 3e38}
	for name, c := range calls() {
		for range 20 {
			compareVectors(t, name, c, 48, func(n int) []float32 {
				x := random(rng, n)
				for i := range 6 {
					x[rng.IntN(n)] = strange[(i+rng.IntN(8))%8]
				}
				return x
			}, false)
		}
	}
}

func FuzzVectors(f *testing.F) {
	f.Add(uint64(1), uint16(40))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) {
		rng := rand.New(rand.NewPCG(seed, 2))
		for name, c := range calls() {
			compareVectors(t, name, c, int(n%4500), func(n int) []float32 { return random(rng, n) }, false)
		}
	})
}
