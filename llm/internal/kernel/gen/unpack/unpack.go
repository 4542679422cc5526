// Package unpack writes the loops that make float32 of weights that are kept in fewer bits.
package unpack

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// unpacker is a loop that makes float32 of weights that are kept in fewer bits.
type unpacker struct {
	name      string
	arguments []string // pointers, in the registers of pointers
	// once is written before the loop, body for each turn, of so many numbers,
	// from so many bytes.
	once, body     func(l *assembly.Listing, m assembly.Machine)
	numbers, bytes int
}

// AVX writes what makes float32 of weights. Package kernel says what each
// computes.
func AVX(d *assembly.Declarations) []byte {
	l := assembly.NewListing()
	for _, u := range unpackers() {
		arguments := "n int, " + strings.Join(u.arguments, ", ") + " unsafe.Pointer"
		for _, m := range []assembly.Machine{assembly.AVX512, assembly.AVX2} {
			u.write(l, m)
			d.Of(m).Function(u.name+m.Name, arguments)
		}
		d.Choice(u.name, arguments, "n, "+strings.Join(u.arguments, ", "))
	}
	return l.Bytes()
}

// write writes a loop for a machine: n turns, of which dst and what is unpacked
// move on.
func (u unpacker) write(l *assembly.Listing, m assembly.Machine) {
	l.Text(u.name+m.Name, 8+8*len(u.arguments))
	l.Put("MOVQ n+0(FP), CX")
	for i, name := range u.arguments {
		l.Put("MOVQ %s+%d(FP), %s", name, 8+8*i, assembly.Pointers()[i])
	}
	if u.once != nil {
		u.once(l, m)
	}
	l.Label("loop")
	l.Put("TESTQ CX, CX")
	l.Put("JZ done")
	u.body(l, m)
	l.Put("ADDQ $%d, %s", 4*u.numbers, assembly.Pointers()[0])
	if u.bytes > 0 {
		l.Put("ADDQ $%d, %s", u.bytes, assembly.Pointers()[1])
	}
	l.Put("DECQ CX")
	l.Put("JMP loop")
	l.Label("done")
	l.End()
}

// parts runs f for each register of numbers, with the place of its numbers.
func (u unpacker) parts(m assembly.Machine, f func(i, at int)) {
	wide := m.Bytes / 4
	for i := range u.numbers / wide {
		f(i, i*wide)
	}
}

func unpackers() []unpacker {
	bfloat := unpacker{name: "unpackBFloat", arguments: []string{"dst", "src"}, numbers: 32, bytes: 64}
	bfloat.body = func(l *assembly.Listing, m assembly.Machine) {
		bfloat.parts(m, func(i, at int) {
			r := m.Reg(i)
			l.Put("VPMOVZXWD %d(BX), %s", 2*at, r)
			l.Put("VPSLLD $16, %[1]s, %[1]s", r)
			l.Put("VMOVUPS %s, %d(AX)", r, 4*at)
		})
	}
	half := unpacker{name: "unpackHalf", arguments: []string{"dst", "src"}, numbers: 32, bytes: 64}
	half.body = func(l *assembly.Listing, m assembly.Machine) {
		half.parts(m, func(i, at int) {
			l.Put("VCVTPH2PS %d(BX), %s", 2*at, m.Reg(i))
			l.Put("VMOVUPS %s, %d(AX)", m.Reg(i), 4*at)
		})
	}
	eight := unpacker{name: "unpackBytes", arguments: []string{"dst", "src", "factors"}, numbers: 32, bytes: 32}
	factor := func(m assembly.Machine, i int) string { return m.Reg(m.Count - 1 - i) }
	eight.once = func(l *assembly.Listing, m assembly.Machine) {
		eight.parts(m, func(i, at int) { l.Put("VMOVUPS %d(DX), %s", 4*at, factor(m, i)) })
	}
	eight.body = func(l *assembly.Listing, m assembly.Machine) {
		eight.parts(m, func(i, at int) {
			r := m.Reg(i)
			l.Put("VPMOVSXBD %d(BX), %s", at, r)
			l.Put("VCVTDQ2PS %[1]s, %[1]s", r)
			l.Put("VMULPS %s, %[2]s, %[2]s", factor(m, i), r)
			l.Put("VMOVUPS %s, %d(AX)", r, 4*at)
		})
	}
	four := unpacker{name: "unpackNibbles", arguments: []string{"dst", "src", "table", "factors"}, numbers: 32, bytes: 16}
	four.once = func(l *assembly.Listing, m assembly.Machine) {
		four.parts(m, func(i, at int) { l.Put("VMOVUPS %d(SI), %s", 4*at, factor(m, i)) })
		for i := range 64 / m.Bytes { // the table
			l.Put("VMOVUPS %d(DX), %s", i*m.Bytes, m.Reg(8+i))
		}
	}
	four.body = func(l *assembly.Listing, m assembly.Machine) {
		four.parts(m, func(i, at int) {
			r := m.Reg(i)
			l.Put("VPMOVZXBD %d(BX), %s", at%16, r) // outputs from 16 on are in the upper halves
			if at >= 16 {
				l.Put("VPSRLD $4, %[1]s, %[1]s", r)
			}
			lookUp(l, m, r)
			l.Put("VMULPS %s, %[2]s, %[2]s", factor(m, i), r)
			l.Put("VMOVUPS %s, %d(AX)", r, 4*at)
		})
	}
	return []unpacker{bfloat, half, eight, four, roundBFloat(), roundHalf()}
}

// lookUp replaces indices, by their lower four bits, by numbers of the table in
// register 8, or 8 and 9.
func lookUp(l *assembly.Listing, m assembly.Machine, r string) {
	if m == assembly.AVX512 {
		l.Put("VPERMPS %s, %[2]s, %[2]s", m.Reg(8), r)
		return
	}
	low, high := m.Reg(4), m.Reg(5)
	l.Put("VPERMPS %s, %s, %s", m.Reg(8), r, low)
	l.Put("VPERMPS %s, %s, %s", m.Reg(9), r, high)
	l.Put("VPSLLD $28, %[1]s, %[1]s", r) // bit 3 chooses
	l.Put("VBLENDVPS %s, %s, %s, %[1]s", r, high, low)
}

// roundBFloat rounds to bfloat16, to the nearest and to even between two.
func roundBFloat() unpacker {
	u := unpacker{name: "roundBFloat", arguments: []string{"x"}, numbers: 16}
	and := map[bool]string{true: "VPANDD", false: "VPAND"}
	one := func(m assembly.Machine, i int) string { return m.Reg(m.Count - 1 - i) }
	u.once = func(l *assembly.Listing, m assembly.Machine) {
		if m == assembly.AVX512 {
			l.Put("VPTERNLOGD $255, %[1]s, %[1]s, %[1]s", one(m, 0))
		} else {
			l.Put("VPCMPEQD %[1]s, %[1]s, %[1]s", one(m, 0))
		}
		l.Put("VPSLLD $16, %s, %s", one(m, 0), one(m, 1)) // the bits that stay
		l.Put("VPSRLD $17, %s, %s", one(m, 0), one(m, 2)) // 0x7fff
		l.Put("VPSRLD $31, %[1]s, %[1]s", one(m, 0))      // 1
	}
	u.body = func(l *assembly.Listing, m assembly.Machine) {
		u.parts(m, func(i, at int) {
			x, t := m.Reg(2*i), m.Reg(2*i+1)
			l.Put("VMOVUPS %d(AX), %s", 4*at, x)
			l.Put("VPSRLD $16, %s, %s", x, t)
			l.Put("%s %s, %[3]s, %[3]s", and[m == assembly.AVX512], one(m, 0), t)
			l.Put("VPADDD %s, %[2]s, %[2]s", one(m, 2), x)
			l.Put("VPADDD %s, %[2]s, %[2]s", t, x)
			l.Put("%s %s, %[3]s, %[3]s", and[m == assembly.AVX512], one(m, 1), x)
			l.Put("VMOVUPS %s, %d(AX)", x, 4*at)
		})
	}
	return u
}

// roundHalf rounds to float16.
func roundHalf() unpacker {
	u := unpacker{name: "roundHalf", arguments: []string{"x"}, numbers: 16}
	u.body = func(l *assembly.Listing, m assembly.Machine) {
		u.parts(m, func(i, at int) {
			x := m.Reg(2 * i)
			narrow := fmt.Sprintf("%s%d", map[bool]string{true: "Y", false: "X"}[m == assembly.AVX512], 2*i+1)
			l.Put("VMOVUPS %d(AX), %s", 4*at, x)
			l.Put("VCVTPS2PH $0, %s, %s", x, narrow)
			l.Put("VCVTPH2PS %s, %s", narrow, x)
			l.Put("VMOVUPS %s, %d(AX)", x, 4*at)
		})
	}
	return u
}
