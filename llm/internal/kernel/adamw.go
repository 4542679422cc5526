package kernel

import "math"

// AdamW is the optimizer of Loshchilov and Hutter 2019. Its fields are
// Hugging Face's.
type AdamW struct {
	Rate, Beta1, Beta2, Epsilon, Decay float64
	// Scale is what the gradients are multiplied by first.
	Scale float64
	// Step counts from 1.
	Step int64
}

// adamTable are the numbers of a step, each as a whole vector: the scale, β1,
// 1-β1, β2, 1-β2, 1/√(1-β2ᵏ), ε, -rate/(1-β1ᵏ) and 1-rate·decay.
type adamTable [9][16]float32

func (a AdamW) table() (t adamTable) {
	k := float64(a.Step)
	for i, x := range [...]float64{
		a.Scale, a.Beta1, 1 - a.Beta1, a.Beta2, 1 - a.Beta2, 1 / math.Sqrt(1-math.Pow(a.Beta2, k)), a.Epsilon,
		-a.Rate / (1 - math.Pow(a.Beta1, k)), 1 - a.Rate*a.Decay,
	} {
		for j := range t[i] {
			t[i][j] = float32(x)
		}
	}
	return t
}

// Update changes weights by their gradients and moments.
func (a AdamW) Update(weights, gradients, firsts, seconds []float32) {
	same(len(weights), len(gradients), len(firsts), len(seconds))
	t := a.table()
	n := whole(len(weights))
	adamWVector(n, first(weights), first(gradients), first(firsts), first(seconds), &t)
	for i := n; i < len(weights); i++ {
		d := gradients[i] * t[0][0]
		m := fma(t[1][0], firsts[i], float32(d*t[2][0]))
		v := fma(t[3][0], seconds[i], float32(float32(d*d)*t[4][0]))
		firsts[i], seconds[i] = m, v
		root := float32(float32(math.Sqrt(float64(v)))*t[5][0]) + t[6][0]
		weights[i] = fma(t[8][0], weights[i], float32(m*t[7][0])/root)
	}
}
