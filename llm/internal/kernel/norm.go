package kernel

import "math"

// Norm is RMSNorm (Zhang and Sennrich 2019): y = x·r·w, where r, which it
// returns, is 1/√(mean of x² + eps). y and x may be the same.
func Norm(y, x, w []float32, eps float32) (r float32) {
	same(len(y), len(x), len(w))
	mean := Dot(x, x) / float32(len(x))
	r = 1 / float32(math.Sqrt(float64(mean+eps)))
	n := whole(len(y))
	normVector(n, first(y), first(x), first(w), r)
	for i := n; i < len(y); i++ {
		y[i] = float32(x[i]*r) * w[i]
	}
	return r
}

// NormBack adds to dx what dy, the gradient of y, means for x.
func NormBack(dx, dy, x, w []float32, r float32) {
	same(len(dx), len(dy), len(x), len(w))
	n := whole(len(dx))
	var sums [16]float32
	normDotVector(n, first(dy), first(w), first(x), &sums)
	for i := n; i < len(dx); i++ {
		sums[i%16] = fma(float32(dy[i]*w[i]), x[i], sums[i%16])
	}
	k := -join(&sums) * float32(float32(r*r)*r) / float32(len(x))
	normBackVector(n, first(dx), first(dy), first(x), first(w), r, k)
	for i := n; i < len(dx); i++ {
		dx[i] = fma(k, x[i], fma(float32(dy[i]*w[i]), r, dx[i]))
	}
}

// NormWeight adds to dw what dy means for w.
func NormWeight(dw, dy, x []float32, r float32) {
	same(len(dw), len(dy), len(x))
	n := whole(len(dw))
	normWeightVector(n, first(dw), first(dy), first(x), r)
	for i := n; i < len(dw); i++ {
		dw[i] = fma(float32(dy[i]*x[i]), r, dw[i])
	}
}
