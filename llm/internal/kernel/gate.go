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
