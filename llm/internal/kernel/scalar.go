package kernel

import "math"

// fma is x·y + z, rounded once. The product of two float32 is exact in float64,
// and so is the result, but where the sum in float64 came to lie in the middle
// of two float32, or is too small for all bits: there it is rounded to an odd
// last bit first, so that the second rounding meets no tie that the first made.
func fma(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	b := math.Float64bits(s)
	const least = 0x3810000000000000 << 1 // of a float32 with all bits, but for the sign
	if b&(1<<29-1) != 1<<28 && b<<1 >= least || b&1 == 1 {
		return float32(s)
	}
	// What the sum lost (Knuth's two-sum).
	t := s - p
	lost := (p - (s - t)) + (c - t)
	switch {
	case lost == 0:
	case (lost > 0) == (s > 0):
		b++
	default:
		b--
	}
	return float32(math.Float64frombits(b))
}

// exp is e to the power of x, within two units of the last place. Below -87 it
// is that of -87, above 88 that of 88.
func exp(x float32) float32 {
	if -87 > x {
		x = -87
	}
	if 88 < x {
		x = 88
	}
	const whole = 12582912 // 1.5·2²³: a number of this size has no fraction
	t := fma(x, 1.44269504, whole)
	n := t - whole
	x = fma(n, -0.693359375, x)
	x = fma(n, 2.12194440e-4, x)
	q := float32(1.9875691500e-4)
	for _, c := range [...]float32{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		q = fma(x, q, c)
	}
	q = fma(float32(x*x), q, x) + 1
	return math.Float32frombits(math.Float32bits(q) + math.Float32bits(t)<<23)
}

// join joins sixteen partial sums.
func join(sums *[16]float32) float32 {
	for n := 8; n > 0; n /= 2 {
		for i := range n {
			sums[i] += sums[i+n]
		}
	}
	return sums[0]
}
