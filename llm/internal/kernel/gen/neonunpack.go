package main

import "strings"

// neonUnpacks writes for Neon what unpacks and rounds weights, see unpackers. Each
// turn makes 32 numbers in registers 0 to 7, or rounds 16.
func neonUnpacks(d *declarations) []byte {
	l := newListing()
	bodies := map[string]func(l *listing){
		"unpackBFloat":  neonBFloat,
		"unpackHalf":    neonHalf,
		"unpackBytes":   neonBytes,
		"unpackNibbles": neonNibbles,
		"roundBFloat":   neonRoundBFloat,
		"roundHalf":     neonRoundHalf,
	}
	for _, u := range unpackers() {
		name := u.name + neon.name
		d.arm64.function(name, "n int, "+strings.Join(u.arguments, ", ")+" unsafe.Pointer")
		l.text(name, 8+8*len(u.arguments))
		l.put("MOVD n+0(FP), R0")
		for i, a := range u.arguments {
			l.put("MOVD %s+%d(FP), R%d", a, 8+8*i, 1+i)
		}
		neonOnce(l, u)
		l.label("loop")
		l.put("CBZ R0, done")
		bodies[u.name](l)
		l.put("VST1.P %s, 64(R1)", registers(0))
		if u.numbers == 32 {
			l.put("VST1.P %s, 64(R1)", registers(4))
		}
		l.put("SUB $1, R0")
		l.put("B loop")
		l.label("done")
		l.put("RET")
	}
	neonPatterns(l)
	return l.Bytes()
}

// neonOnce brings what stays to registers 16 on: the factors to 24 to 31, the table
// to 16 to 19.
func neonOnce(l *listing, u unpacker) {
	factors := "R3"
	switch u.name {
	case "unpackNibbles":
		l.put("VLD1 (R3), %s", registers(16))
		l.put("MOVD $spread<>(SB), R5")
		l.put("VLD1 (R5), [V20.B16]")
		l.put("MOVD $within<>(SB), R5")
		l.put("VLD1 (R5), [V21.B16]")
		l.put("MOVD $0x0f0f0f0f, R5")
		l.put("VDUP R5, V22.S4")
		factors = "R4"
	case "unpackBytes":
	case "roundBFloat":
		for i, n := range []string{"1", "0x7fff", "0xffff0000"} {
			l.put("MOVD $%s, R5", n)
			l.put("VDUP R5, V%d.S4", 16+i)
		}
		return
	default:
		return
	}
	l.put("VLD1.P 64(%s), %s", factors, registers(24))
	l.put("VLD1 (%s), %s", factors, registers(28))
}

func neonBFloat(l *listing) {
	l.put("VLD1.P 64(R2), [V8.H8, V9.H8, V10.H8, V11.H8]")
	for i := range 4 {
		l.word(shll, neon.reg(2*i), neon.reg(8+i), "")
		l.word(shll2, neon.reg(2*i+1), neon.reg(8+i), "")
	}
}

func neonHalf(l *listing) {
	l.put("VLD1.P 64(R2), [V8.H8, V9.H8, V10.H8, V11.H8]")
	for i := range 4 {
		l.word(fcvtl, neon.reg(2*i), neon.reg(8+i), "")
		l.word(fcvtl2, neon.reg(2*i+1), neon.reg(8+i), "")
	}
}

func neonBytes(l *listing) {
	l.put("VLD1.P 32(R2), [V8.B16, V9.B16]")
	for i := range 2 {
		l.word(sxtlB, "V10", neon.reg(8+i), "")
		l.word(sxtlB2, "V11", neon.reg(8+i), "")
		for k := range 2 {
			l.word(sxtlH, neon.reg(4*i+2*k), neon.reg(10+k), "")
			l.word(sxtlH2, neon.reg(4*i+2*k+1), neon.reg(10+k), "")
		}
	}
	neonFactors(l, func(i int) { l.word(scvtf, neon.reg(i), neon.reg(i), "") })
}

// neonFactors multiplies registers 0 to 7 by the factors, after f.
func neonFactors(l *listing, f func(i int)) {
	for i := range 8 {
		f(i)
		l.word(fmul, neon.reg(i), neon.reg(i), neon.reg(24+i))
	}
}

// neonNibbles looks the bytes of numbers up in the table, which is 64 bytes: number i
// has bytes 4i to 4i+3.
func neonNibbles(l *listing) {
	l.put("VLD1.P 16(R2), [V8.B16]")
	l.put("VUSHR $4, V8.B16, V9.B16")
	l.put("VAND V22.B16, V8.B16, V8.B16")
	for half := range 2 {
		from := neon.reg(8 + half)
		l.put("VSHL $2, %s.B16, %s.B16", from, from)
		for q := range 4 { // four indices, each four times
			to := neon.reg(4*half + q)
			if q > 0 {
				l.put("VEXT $4, %[1]s.B16, %[1]s.B16, %[1]s.B16", from)
			}
			l.put("VTBL V20.B16, [%s.B16], %s.B16", from, to)
			l.put("VADD V21.B16, %[1]s.B16, %[1]s.B16", to)
			l.put("VTBL %[1]s.B16, [V16.B16, V17.B16, V18.B16, V19.B16], %[1]s.B16", to)
		}
	}
	neonFactors(l, func(int) {})
}

// neonPatterns are the byte patterns of neonNibbles.
func neonPatterns(l *listing) {
	l.WriteString(`
DATA spread<>+0(SB)/8, $0x0101010100000000
DATA spread<>+8(SB)/8, $0x0303030302020202
GLOBL spread<>(SB), RODATA|NOPTR, $16
DATA within<>+0(SB)/8, $0x0302010003020100
DATA within<>+8(SB)/8, $0x0302010003020100
GLOBL within<>(SB), RODATA|NOPTR, $16
`)
}

func neonRoundBFloat(l *listing) {
	l.put("VLD1 (R1), %s", registers(0))
	for i := range 4 {
		x, t := neon.reg(i), neon.reg(4+i)
		l.put("VUSHR $16, %s.S4, %s.S4", x, t)
		l.put("VAND V16.B16, %[1]s.B16, %[1]s.B16", t)
		l.put("VADD V17.S4, %[1]s.S4, %[1]s.S4", x)
		l.put("VADD %s.S4, %[2]s.S4, %[2]s.S4", t, x)
		l.put("VAND V18.B16, %[1]s.B16, %[1]s.B16", x)
	}
}

func neonRoundHalf(l *listing) {
	l.put("VLD1 (R1), %s", registers(0))
	for i := range 4 {
		l.word(fcvtn, neon.reg(i), neon.reg(i), "")
		l.word(fcvtl, neon.reg(i), neon.reg(i), "")
	}
}
