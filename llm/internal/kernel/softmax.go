package kernel

import "math"

// Softmax turns the scores from one place to another into shares, with room up to
// a multiple of sixteen, and returns the logarithm of their sum. Scores are
// multiplied by f first. All other shares of the row are zero.
func Softmax(x []float32, from, to int, f float32) (log float32) {
	padded := x[:(to+15)&^15]
	hide(padded[:from])
	hide(padded[to:])
	top := Max(padded) * f
	sum := ExpSum(padded, f, -top)
	Scale(padded, 1/sum)
	clear(x[:from])
	clear(x[to:])
	return top + float32(math.Log(float64(sum)))
}

// hide makes scores of which the shares are too small to count in a sum.
func hide(x []float32) {
	for i := range x {
		x[i] = float32(math.Inf(-1))
	}
}
