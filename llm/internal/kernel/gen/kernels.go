package main

import "github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"

// exponential are the constants of exp: its bounds, 1/ln 2, 1.5·2²³ (a number
// that is so large is added and taken away to round to a whole number), ln 2
// in two parts, and the coefficients of the polynomial, the highest first.
// exp in package kernel has the same.
func exponential() []uint32 {
	return []uint32{
		bits(-87), bits(88), bits(1.44269504), bits(12582912), bits(-0.693359375), bits(2.12194440e-4),
		bits(1.9875691500e-4), bits(1.3981999507e-3), bits(8.3334519073e-3), bits(4.1665795894e-2), bits(1.6666665459e-1), bits(5.0000001201e-1),
	}
}

// exp replaces x by e to the power of x.
func exp(v *vector, x operand) {
	c := exponential()
	t, n, q := v.new(), v.new(), v.new()
	k := func(i int) operand { return v.number(c[i]) }
	bound(v, "VMAXPS", k(0), x)
	bound(v, "VMINPS", k(1), x)
	v.op("VMOVUPS", k(3), t)
	v.op("VFMADD231PS", k(2), x, t)
	v.op("VSUBPS", k(3), t, n)
	v.op("VFMADD231PS", k(4), n, x)
	v.op("VFMADD231PS", k(5), n, x)
	v.op("VMOVUPS", k(6), q)
	for i := 7; i < len(c); i++ {
		v.op("VFMADD213PS", k(i), x, q)
	}
	v.op("VMULPS", x, x, n)
	v.op("VFMADD213PS", x, n, q)
	v.op("VADDPS", v.number(bits(1)), q, q)
	v.shift(23, t) // the whole number goes to the exponent
	v.op("VPADDD", t, q, x)
	v.drop(t, n, q)
}

// bound leaves the larger or the smaller number in x. Where x is no number, it
// stays so: these instructions then take the operand that the assembler has
// first, but of which one in memory must stand there.
func bound(v *vector, op string, k, x operand) {
	if v.m == assembly.AVX512 {
		v.op(op, x, k, x)
		return
	}
	t := v.new()
	v.op("VMOVUPS", k, t)
	v.op(op, x, t, x)
	v.drop(t)
}

// kernels are all loops over vectors. What each computes is said, with its
// plain form, in package kernel.
func kernels() []kernel {
	return []kernel{
		{name: "add", moving: []string{"y", "x"}, body: func(v *vector) {
			y := v.load("y")
			v.op("VADDPS", v.at("x"), y, y)
			v.store(y, "y")
		}},
		{name: "scale", moving: []string{"x"}, scalars: []string{"f"}, body: func(v *vector) {
			x := v.new()
			v.op("VMULPS", v.at("x"), v.scalar["f"], x)
			v.store(x, "x")
		}},
		{name: "dot", moving: []string{"a", "b"}, sums: true, body: func(v *vector) {
			a := v.load("a")
			v.op("VFMADD231PS", v.at("b"), a, v.scalar["sums"])
		}},
		{name: "most", moving: []string{"x"}, sums: true, body: func(v *vector) {
			v.op("VMAXPS", v.at("x"), v.scalar["sums"], v.scalar["sums"])
		}},
		{name: "norm", moving: []string{"y", "x", "w"}, scalars: []string{"r"}, body: func(v *vector) {
			y := v.new()
			v.op("VMULPS", v.at("x"), v.scalar["r"], y)
			v.op("VMULPS", v.at("w"), y, y)
			v.store(y, "y")
		}},
		{name: "normDot", moving: []string{"dy", "w", "x"}, sums: true, body: func(v *vector) {
			d := v.load("dy")
			v.op("VMULPS", v.at("w"), d, d)
			v.op("VFMADD231PS", v.at("x"), d, v.scalar["sums"])
		}},
		{name: "normBack", moving: []string{"dx", "dy", "x", "w"}, scalars: []string{"r", "k"}, body: func(v *vector) {
			d, dx := v.load("dy"), v.load("dx")
			v.op("VMULPS", v.at("w"), d, d)
			v.op("VFMADD231PS", v.scalar["r"], d, dx)
			v.op("VMOVUPS", v.at("x"), d)
			v.op("VFMADD231PS", v.scalar["k"], d, dx)
			v.store(dx, "dx")
		}},
		{name: "normWeight", moving: []string{"dw", "dy", "x"}, scalars: []string{"r"}, body: func(v *vector) {
			d, dw := v.load("dy"), v.load("dw")
			v.op("VMULPS", v.at("x"), d, d)
			v.op("VFMADD231PS", v.scalar["r"], d, dw)
			v.store(dw, "dw")
		}},
		{name: "rotate", moving: []string{"a", "b", "cos", "sin"}, body: func(v *vector) {
			a, b, s := v.load("a"), v.load("b"), v.load("sin")
			x, y := v.new(), v.new()
			v.op("VMULPS", v.at("cos"), a, x)
			v.op("VMULPS", v.at("cos"), b, y)
			v.op("VFNMADD231PS", s, b, x)
			v.op("VFMADD231PS", s, a, y)
			v.store(x, "a")
			v.store(y, "b")
		}},
		{name: "gate", moving: []string{"s", "gate", "u"}, body: func(v *vector) {
			e := sigmoidBelow(v, "gate")
			g := v.load("gate")
			v.op("VDIVPS", e, g, g)
			v.op("VMULPS", v.at("u"), g, g)
			v.store(g, "s")
		}},
		{name: "gateBack", moving: []string{"dg", "ds", "s", "gate", "u"}, body: func(v *vector) {
			e := sigmoidBelow(v, "gate")
			one := v.new()
			v.op("VMOVUPS", v.number(bits(1)), one)
			v.op("VDIVPS", e, one, e) // the sigmoid
			silu, d, t := v.new(), v.load("ds"), v.new()
			v.op("VMULPS", v.at("gate"), e, silu)
			v.op("VMULPS", v.at("u"), silu, t)
			v.store(t, "s")
			v.op("VMULPS", d, silu, t)
			v.store(t, "ds")
			v.op("VSUBPS", e, one, one)
			v.op("VFMADD213PS", e, silu, one)
			v.op("VMULPS", v.at("u"), d, d)
			v.op("VMULPS", d, one, d)
			v.store(d, "dg")
		}},
		{name: "gelu", moving: []string{"s", "gate", "u"}, body: func(v *vector) {
			g := v.load("gate")
			e, slope := geluBelow(v, g)
			v.drop(slope)
			v.op("VDIVPS", e, g, g)
			v.op("VMULPS", v.at("u"), g, g)
			v.store(g, "s")
		}},
		{name: "geluBack", moving: []string{"dg", "ds", "s", "gate", "u"}, body: func(v *vector) {
			g := v.load("gate")
			e, slope := geluBelow(v, g)
			one := v.new()
			v.op("VMOVUPS", v.number(bits(1)), one)
			v.op("VDIVPS", e, one, e) // the sigmoid
			v.op("VMULPS", g, e, g)   // the GELU
			t := v.new()
			v.op("VMULPS", v.at("u"), g, t)
			v.store(t, "s")
			v.op("VSUBPS", e, one, one)
			v.op("VMULPS", one, g, one)
			v.op("VFMADD213PS", e, slope, one)
			v.op("VMOVUPS", v.at("ds"), t)
			v.op("VMULPS", t, g, g)
			v.store(g, "ds")
			v.op("VMULPS", v.at("u"), t, t)
			v.op("VMULPS", t, one, t)
			v.store(t, "dg")
		}},
		{name: "softcap", moving: []string{"x"}, scalars: []string{"f", "most"}, body: func(v *vector) {
			x := v.new()
			v.op("VMULPS", v.at("x"), v.scalar["f"], x)
			exp(v, x)
			v.op("VADDPS", v.number(bits(1)), x, x)
			t, one := v.new(), v.new()
			v.op("VMOVUPS", v.number(bits(2)), t)
			v.op("VDIVPS", x, t, t)
			v.op("VMOVUPS", v.number(bits(1)), one)
			v.op("VSUBPS", t, one, one)
			v.op("VMULPS", v.scalar["most"], one, one)
			v.store(one, "x")
		}},
		{name: "expSum", moving: []string{"x"}, sums: true, scalars: []string{"f", "t"}, body: func(v *vector) {
			x := v.load("x")
			v.op("VFMADD213PS", v.scalar["t"], v.scalar["f"], x)
			exp(v, x)
			v.store(x, "x")
			v.op("VADDPS", x, v.scalar["sums"], v.scalar["sums"])
		}},
		{name: "attendBack", moving: []string{"s", "d"}, scalars: []string{"f", "t", "mean"}, body: func(v *vector) {
			x := v.load("s")
			v.op("VFMADD213PS", v.scalar["t"], v.scalar["f"], x)
			exp(v, x)
			v.store(x, "s")
			d := v.load("d")
			v.op("VSUBPS", v.scalar["mean"], d, d)
			v.op("VMULPS", x, d, d)
			v.op("VMULPS", v.scalar["f"], d, d)
			v.store(d, "d")
		}},
		{name: "adamW", moving: []string{"w", "grad", "m", "v"}, table: true, body: func(v *vector) {
			d, m, n := v.new(), v.new(), v.new()
			v.op("VMOVUPS", v.at("grad"), d)
			v.op("VMULPS", v.wide(0), d, d) // the clipped gradient
			v.op("VMULPS", v.wide(2), d, m)
			v.op("VMOVUPS", v.at("m"), n)
			v.op("VFMADD231PS", v.wide(1), n, m)
			v.store(m, "m")
			v.op("VMULPS", d, d, n)
			v.op("VMULPS", v.wide(4), n, n)
			v.op("VMOVUPS", v.at("v"), d)
			v.op("VFMADD231PS", v.wide(3), d, n)
			v.store(n, "v")
			v.op("VSQRTPS", n, n)
			v.op("VMULPS", v.wide(5), n, n)
			v.op("VADDPS", v.wide(6), n, n)
			v.op("VMULPS", v.wide(7), m, m)
			v.op("VDIVPS", n, m, m)
			v.op("VMOVUPS", v.at("w"), d)
			v.op("VFMADD231PS", v.wide(8), d, m)
			v.store(m, "w")
		}},
	}
}

// sigmoidBelow is 1 + exp(-x), what the sigmoid divides by.
func sigmoidBelow(v *vector, name string) operand {
	x := v.new()
	v.op("VMOVUPS", v.number(bits(0)), x)
	v.op("VSUBPS", v.at(name), x, x)
	exp(v, x)
	v.op("VADDPS", v.number(bits(1)), x, x)
	return x
}

// geluBelow is 1 + exp(-z), where z = g·(c + d·g²) makes g·σ(z) the tanh form of
// GELU, and the slope of z.
func geluBelow(v *vector, g operand) (below, slope operand) {
	square, z := v.new(), v.new()
	v.op("VMULPS", g, g, square)
	v.op("VMOVUPS", v.number(bits(geluC)), z)
	v.op("VFMADD231PS", v.number(bits(geluD)), square, z)
	v.op("VMULPS", g, z, z)
	slope = v.new()
	v.op("VMOVUPS", v.number(bits(geluC)), slope)
	v.op("VFMADD231PS", v.number(bits(3*geluD)), square, slope)
	v.drop(square)
	below = v.new()
	v.op("VMOVUPS", v.number(bits(0)), below)
	v.op("VSUBPS", z, below, below)
	v.drop(z)
	exp(v, below)
	v.op("VADDPS", v.number(bits(1)), below, below)
	return below, slope
}
