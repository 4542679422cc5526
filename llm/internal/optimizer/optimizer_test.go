package optimizer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// weights are some that learn: large ones, small ones, an embedding, and a vector.
func weights() []Weight {
	rng := rand.New(rand.NewPCG(1, 2))
	var out []Weight
	for i, shape := range [][]int{{70, 130}, {5, 7}, {4100}, {64, 64}, {9}} {
		w := Weight{Name: fmt.Sprint(i), Shape: shape, Decays: i%2 == 0, Embeds: i == 3}
		n := shape[0]
		if len(shape) == 2 {
			n *= shape[1]
		}
		w.Values, w.Gradients = make([]float32, n), make([]float32, n)
		for j := range w.Values {
			w.Values[j] = float32(rng.NormFloat64())
		}
		out = append(out, w)
	}
	return out
}

// gradients sets those of a step.
func gradients(all []Weight, step int64) {
	rng := rand.New(rand.NewPCG(3, uint64(step)))
	for _, w := range all {
		for j := range w.Gradients {
			w.Gradients[j] = float32(rng.NormFloat64() * math.Exp(3*rng.NormFloat64()))
		}
	}
}

func settings(method string) Settings {
	return Settings{Method: method, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Momentum: 0.9}
}

func learner(t testing.TB, method string, all []Weight, threads int) *Optimizer {
	t.Helper()
	o, err := New(settings(method), all, threads)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func steps(o *Optimizer, all []Weight, from, to int64) {
	for n := from; n <= to; n++ {
		gradients(all, n)
		o.Step(Step{Rate: 1e-2, Decay: 0.1, Scale: 0.5, Number: n})
	}
}

func equal(a, b []Weight) bool {
	return slices.EqualFunc(a, b, func(x, y Weight) bool { return slices.Equal(x.Values, y.Values) })
}

// TestSameBits for any number of threads, and after a state was taken to another
// optimizer.
func TestSameBits(t *testing.T) {
	t.Parallel()
	for _, method := range Names() {
		want := weights()
		steps(learner(t, method, want, 1), want, 1, 5)
		for _, threads := range []int{1, 2, 5} {
			got := weights()
			first := learner(t, method, got, threads)
			steps(first, got, 1, 3)
			second := learner(t, method, got, threads)
			from := first.State()
			for i, s := range second.State() {
				if s.Name != from[i].Name || s.Weight != from[i].Weight {
					t.Fatalf("%s: state %d is %s of %s, then %s of %s", method, i, from[i].Name, from[i].Weight, s.Name, s.Weight)
				}
				copy(s.Numbers, from[i].Numbers)
				copy(s.Bytes, from[i].Bytes)
			}
			steps(second, got, 4, 5)
			if !equal(got, want) {
				t.Errorf("%s: other weights with %d threads", method, threads)
			}
			for _, w := range got {
				if slices.ContainsFunc(w.Gradients, func(g float32) bool { return g != 0 }) {
					t.Errorf("%s: gradients are left", method)
				}
			}
		}
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	for _, method := range Names() {
		all := weights()
		o := learner(t, method, all, 2)
		if n := testing.AllocsPerRun(5, func() { o.Step(Step{Rate: 1e-2, Scale: 1, Number: 1}) }); n > 1 { // a goroutine may need one
			t.Errorf("%s: a step allocates %v times", method, n)
		}
	}
}

// TestNearest holds the codes to a search through all values.
func TestNearest(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for _, s := range []*scale{signed(), unsigned()} {
		if !slices.IsSorted(s.values[:]) || s.values[255] != 1 {
			t.Errorf("values %v", s.values)
		}
		for range 100_000 {
			x := float32(math.Exp(-12 * rng.Float64()))
			if rng.IntN(2) == 0 && s == signed() {
				x = -x
			}
			best := byte(0)
			for i, v := range s.values {
				if math.Abs(float64(v-x)) < math.Abs(float64(s.values[best]-x)) {
					best = byte(i)
				}
			}
			if got := s.nearest(x); s.values[got] != s.values[best] {
				t.Fatalf("%v: %v, and %v is nearer", x, s.values[got], s.values[best])
			}
		}
	}
}

// TestBlocksOfZeros open as zeros, and bytes are what a state has of quantised moments.
func TestBlocksOfZeros(t *testing.T) {
	t.Parallel()
	b := newBlocks(signed(), 300)
	x := make([]float32, 300)
	x[7] = 3
	b.close(x)
	b.open(x)
	if x[7] != 3 || x[299] != 0 || math.Abs(float64(x[8])) > 1e-6 {
		t.Errorf("%v", x[:10])
	}
	all := weights()
	n := 0
	for _, s := range learner(t, "adamw_8bit", all, 1).State() {
		n += len(s.Bytes)
		if s.Weight == "3" && s.Bytes != nil {
			t.Error("the moments of an embedding are quantised")
		}
	}
	if n != 2*(70*130+4100) {
		t.Errorf("%d bytes", n)
	}
}

func TestUnknownMethod(t *testing.T) {
	t.Parallel()
	if _, err := New(Settings{Method: "lion_8bit"}, nil, 1); err == nil {
		t.Error("it is made")
	}
}

func BenchmarkStep(b *testing.B) {
	for _, method := range []string{"adamw_torch", "adamw_8bit", "sgd", "adafactor"} {
		b.Run(method, func(b *testing.B) {
			n := 1 << 20
			all := []Weight{{Name: "w", Shape: []int{1024, 1024}, Values: make([]float32, n), Gradients: make([]float32, n)}}
			o := learner(b, method, all, 1)
			gradients(all, 1)
			b.SetBytes(int64(n))
			for b.Loop() {
				o.Step(Step{Rate: 1e-2, Scale: 1, Number: 1})
			}
		})
	}
}
