package kernel

// Gate is s = g·σ(g)·u, the SiLU of the gate times what it lets through.
func Gate(s, g, u []float32) {
	same(len(s), len(g), len(u))
	n := whole(len(s))
	gateVector(n, first(s), first(g), first(u))
	for i := n; i < len(s); i++ {
		s[i] = g[i] / (exp(-g[i]) + 1) * u[i]
	}
}

// GateBack goes back through Gate. From ds, the gradient of s, come dg, and du
// in the place of ds; s is computed anew.
func GateBack(dg, ds, s, g, u []float32) {
	same(len(dg), len(ds), len(s), len(g), len(u))
	n := whole(len(s))
	gateBackVector(n, first(dg), first(ds), first(s), first(g), first(u))
	for i := n; i < len(s); i++ {
		sigma := 1 / (exp(-g[i]) + 1)
		silu := float32(sigma * g[i])
		d := ds[i]
		s[i], ds[i] = silu*u[i], silu*d
		dg[i] = float32(d*u[i]) * fma(silu, 1-sigma, sigma)
	}
}

// They are 2·√(2/π) and 0.044715 times that. Three times the latter is geluSlope.
const geluC, geluD, geluSlope = 1.5957691216, 0.0713548162726, 3 * 0.0713548162726

// gelu is what the sigmoid divides by in the tanh form of GELU, g·σ(z) with
// z = g·(c + d·g²), and the slope of z (Hendrycks and Gimpel 2016).
func gelu(g float32) (below, slope float32) {
	square := float32(g * g)
	z := float32(fma(geluD, square, geluC) * g)
	return exp(-z) + 1, fma(geluSlope, square, geluC)
}

// Gelu is s = GELU(g)·u, in its tanh form.
func Gelu(s, g, u []float32) {
	same(len(s), len(g), len(u))
	n := whole(len(s))
	geluVector(n, first(s), first(g), first(u))
	for i := n; i < len(s); i++ {
		below, _ := gelu(g[i])
		s[i] = g[i] / below * u[i]
	}
}

// GeluBack goes back through Gelu, as GateBack does through Gate.
func GeluBack(dg, ds, s, g, u []float32) {
	same(len(dg), len(ds), len(s), len(g), len(u))
	n := whole(len(s))
	geluBackVector(n, first(dg), first(ds), first(s), first(g), first(u))
	for i := n; i < len(s); i++ {
		below, slope := gelu(g[i])
		sigma := 1 / below
		act := float32(g[i] * sigma)
		d := ds[i]
		s[i], ds[i] = act*u[i], act*d
		dg[i] = float32(d*u[i]) * fma(float32((1-sigma)*act), slope, sigma)
	}
}
