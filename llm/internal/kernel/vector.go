package kernel

import (
	"math"
	"slices"
	"unsafe"
)

// whole is how many of n numbers the path's kernels take: all but the last few,
// which do not fill a vector. The plain loops take the rest.
func whole(n int) int {
	if path == Plain {
		return 0
	}
	return n &^ 15
}

func first(x []float32) unsafe.Pointer { return firstOf(x) }

func firstOf[T any](x []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(x)) }

// same panics where vectors differ in their lengths.
func same(n int, others ...int) {
	for _, o := range others {
		if o != n {
			panic("kernel: vectors of different lengths")
		}
	}
}

// Add is y += x.
func Add(y, x []float32) {
	same(len(y), len(x))
	n := whole(len(y))
	addVector(n, first(y), first(x))
	for i := n; i < len(y); i++ {
		y[i] += x[i]
	}
}

// Scale is x *= f.
func Scale(x []float32, f float32) {
	n := whole(len(x))
	scaleVector(n, first(x), f)
	for i := n; i < len(x); i++ {
		x[i] *= f
	}
}

// Dot is the sum of a·b.
func Dot(a, b []float32) float32 {
	same(len(a), len(b))
	n := whole(len(a))
	var sums [16]float32
	dotVector(n, first(a), first(b), &sums)
	for i := n; i < len(a); i++ {
		sums[i%16] = fma(a[i], b[i], sums[i%16])
	}
	return join(&sums)
}

// Max is the largest number of x, minus infinity of none. What it is where one
// of them is no number depends on the places.
func Max(x []float32) float32 {
	n := whole(len(x))
	var most [16]float32
	for i := range most {
		most[i] = float32(math.Inf(-1))
	}
	mostVector(n, first(x), &most)
	for i := n; i < len(x); i++ {
		if !(most[i%16] > x[i]) { // as the processors compare
			most[i%16] = x[i]
		}
	}
	return slices.Max(most[:])
}

// ExpSum makes exp(x·f + t) of x and returns the sum.
func ExpSum(x []float32, f, t float32) float32 {
	n := whole(len(x))
	var sums [16]float32
	expSumVector(n, first(x), &sums, f, t)
	for i := n; i < len(x); i++ {
		x[i] = exp(fma(f, x[i], t))
		sums[i%16] += x[i]
	}
	return join(&sums)
}

// Rotate turns the pairs of a and b: a·cos - b·sin and b·cos + a·sin.
func Rotate(a, b, cos, sin []float32) {
	same(len(a), len(b), len(cos), len(sin))
	n := whole(len(a))
	rotateVector(n, first(a), first(b), first(cos), first(sin))
	for i := n; i < len(a); i++ {
		x, y := a[i], b[i]
		a[i] = fma(-sin[i], y, float32(x*cos[i]))
		b[i] = fma(sin[i], x, float32(y*cos[i]))
	}
}

// AttendBack goes back through a row of a softmax. From the scores s come the
// shares exp(s·f + t), and from the gradients d of the shares those of the
// scores, share·(d-mean)·f.
func AttendBack(s, d []float32, f, t, mean float32) {
	same(len(s), len(d))
	n := whole(len(s))
	attendBackVector(n, first(s), first(d), f, t, mean)
	for i := n; i < len(s); i++ {
		s[i] = exp(fma(f, s[i], t))
		d[i] = float32(float32(d[i]-mean)*s[i]) * f
	}
}

// Softcap is x = most·tanh(x·f/2), which keeps scores below a bound. f has both
// factors of what goes into the tanh, as tanh(z) = 1 - 2/(exp(2z) + 1).
func Softcap(x []float32, f, most float32) {
	n := whole(len(x))
	softcapVector(n, first(x), f, most)
	for i := n; i < len(x); i++ {
		x[i] = (1 - 2/(exp(float32(x[i]*f))+1)) * most
	}
}

// SoftcapBack multiplies gradients d of capped numbers y by the slope of Softcap:
// (1 - (y/most)²)·f·most/2.
func SoftcapBack(d, y []float32, f, most float32) {
	same(len(d), len(y))
	for i, v := range y {
		t := v / most
		d[i] *= float32(fma(-t, t, 1) * float32(float32(f*most)/2))
	}
}
