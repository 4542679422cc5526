package unpack

import (
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// Neon writes for Neon what unpacks and rounds weights, see unpackers. Each
// turn makes 32 numbers in registers 0 to 7, or rounds 16.
func Neon(d *assembly.Declarations) []byte {
	l := assembly.NewListing()
	bodies := map[string]func(l *assembly.Listing){
		"unpackBFloat":  neonBFloat,
		"unpackHalf":    neonHalf,
		"unpackBytes":   neonBytes,
		"unpackNibbles": neonNibbles,
		"roundBFloat":   neonRoundBFloat,
		"roundHalf":     neonRoundHalf,
	}
	for _, u := range unpackers() {
		name := u.name + assembly.Neon.Name
		d.ARM64.Function(name, "n int, "+strings.Join(u.arguments, ", ")+" unsafe.Pointer")
		l.Text(name, 8+8*len(u.arguments))
		l.Put("MOVD n+0(FP), R0")
		for i, a := range u.arguments {
			l.Put("MOVD %s+%d(FP), R%d", a, 8+8*i, 1+i)
		}
		neonOnce(l, u)
		l.Label("loop")
		l.Put("CBZ R0, done")
		bodies[u.name](l)
		l.Put("VST1.P %s, 64(R1)", assembly.Registers(0))
		if u.numbers == 32 {
			l.Put("VST1.P %s, 64(R1)", assembly.Registers(4))
		}
		l.Put("SUB $1, R0")
		l.Put("B loop")
		l.Label("done")
		l.Put("RET")
	}
	neonPatterns(l)
	return l.Bytes()
}

// neonOnce brings what stays to registers 16 on: the factors to 24 to 31, the table
// to 16 to 19.
func neonOnce(l *assembly.Listing, u unpacker) {
	factors := "R3"
	switch u.name {
	case "unpackNibbles":
		l.Put("VLD1 (R3), %s", assembly.Registers(16))
		l.Put("MOVD $spread<>(SB), R5")
		l.Put("VLD1 (R5), [V20.B16]")
		l.Put("MOVD $within<>(SB), R5")
		l.Put("VLD1 (R5), [V21.B16]")
		l.Put("MOVD $0x0f0f0f0f, R5")
		l.Put("VDUP R5, V22.S4")
		factors = "R4"
	case "unpackBytes":
	case "roundBFloat":
		for i, n := range []string{"1", "0x7fff", "0xffff0000"} {
			l.Put("MOVD $%s, R5", n)
			l.Put("VDUP R5, V%d.S4", 16+i)
		}
		return
	default:
		return
	}
	l.Put("VLD1.P 64(%s), %s", factors, assembly.Registers(24))
	l.Put("VLD1 (%s), %s", factors, assembly.Registers(28))
}

func neonBFloat(l *assembly.Listing) {
	l.Put("VLD1.P 64(R2), [V8.H8, V9.H8, V10.H8, V11.H8]")
	for i := range 4 {
		l.Word(assembly.Shll, assembly.Neon.Reg(2*i), assembly.Neon.Reg(8+i), "")
		l.Word(assembly.Shll2, assembly.Neon.Reg(2*i+1), assembly.Neon.Reg(8+i), "")
	}
}

func neonHalf(l *assembly.Listing) {
	l.Put("VLD1.P 64(R2), [V8.H8, V9.H8, V10.H8, V11.H8]")
	for i := range 4 {
		l.Word(assembly.FCvtl, assembly.Neon.Reg(2*i), assembly.Neon.Reg(8+i), "")
		l.Word(assembly.FCvtl2, assembly.Neon.Reg(2*i+1), assembly.Neon.Reg(8+i), "")
	}
}

func neonBytes(l *assembly.Listing) {
	l.Put("VLD1.P 32(R2), [V8.B16, V9.B16]")
	for i := range 2 {
		l.Word(assembly.SxtlB, "V10", assembly.Neon.Reg(8+i), "")
		l.Word(assembly.SxtlB2, "V11", assembly.Neon.Reg(8+i), "")
		for k := range 2 {
			l.Word(assembly.SxtlH, assembly.Neon.Reg(4*i+2*k), assembly.Neon.Reg(10+k), "")
			l.Word(assembly.SxtlH2, assembly.Neon.Reg(4*i+2*k+1), assembly.Neon.Reg(10+k), "")
		}
	}
	neonFactors(l, func(i int) { l.Word(assembly.SCvtf, assembly.Neon.Reg(i), assembly.Neon.Reg(i), "") })
}

// neonFactors multiplies registers 0 to 7 by the factors, after f.
func neonFactors(l *assembly.Listing, f func(i int)) {
	for i := range 8 {
		f(i)
		l.Word(assembly.FMul, assembly.Neon.Reg(i), assembly.Neon.Reg(i), assembly.Neon.Reg(24+i))
	}
}

// neonNibbles looks the bytes of numbers up in the table, which is 64 bytes: number i
// has bytes 4i to 4i+3.
func neonNibbles(l *assembly.Listing) {
	l.Put("VLD1.P 16(R2), [V8.B16]")
	l.Put("VUSHR $4, V8.B16, V9.B16")
	l.Put("VAND V22.B16, V8.B16, V8.B16")
	for half := range 2 {
		from := assembly.Neon.Reg(8 + half)
		l.Put("VSHL $2, %s.B16, %s.B16", from, from)
		for q := range 4 { // four indices, each four times
			to := assembly.Neon.Reg(4*half + q)
			if q > 0 {
				l.Put("VEXT $4, %[1]s.B16, %[1]s.B16, %[1]s.B16", from)
			}
			l.Put("VTBL V20.B16, [%s.B16], %s.B16", from, to)
			l.Put("VADD V21.B16, %[1]s.B16, %[1]s.B16", to)
			l.Put("VTBL %[1]s.B16, [V16.B16, V17.B16, V18.B16, V19.B16], %[1]s.B16", to)
		}
	}
	neonFactors(l, func(int) {})
}

// neonPatterns are the byte patterns of neonNibbles.
func neonPatterns(l *assembly.Listing) {
	l.WriteString(`
DATA spread<>+0(SB)/8, $0x0101010100000000
DATA spread<>+8(SB)/8, $0x0303030302020202
GLOBL spread<>(SB), RODATA|NOPTR, $16
DATA within<>+0(SB)/8, $0x0302010003020100
DATA within<>+8(SB)/8, $0x0302010003020100
GLOBL within<>(SB), RODATA|NOPTR, $16
`)
}

func neonRoundBFloat(l *assembly.Listing) {
	l.Put("VLD1 (R1), %s", assembly.Registers(0))
	for i := range 4 {
		x, t := assembly.Neon.Reg(i), assembly.Neon.Reg(4+i)
		l.Put("VUSHR $16, %s.S4, %s.S4", x, t)
		l.Put("VAND V16.B16, %[1]s.B16, %[1]s.B16", t)
		l.Put("VADD V17.S4, %[1]s.S4, %[1]s.S4", x)
		l.Put("VADD %s.S4, %[2]s.S4, %[2]s.S4", t, x)
		l.Put("VAND V18.B16, %[1]s.B16, %[1]s.B16", x)
	}
}

func neonRoundHalf(l *assembly.Listing) {
	l.Put("VLD1 (R1), %s", assembly.Registers(0))
	for i := range 4 {
		l.Word(assembly.FCvtn, assembly.Neon.Reg(i), assembly.Neon.Reg(i), "")
		l.Word(assembly.FCvtl, assembly.Neon.Reg(i), assembly.Neon.Reg(i), "")
	}
}
