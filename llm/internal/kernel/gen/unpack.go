package main

import (
	"fmt"
	"strings"
)

// unpacker is a loop that makes float32 of weights that are kept in fewer bits.
type unpacker struct {
	name      string
	arguments []string // pointers, in the registers of pointers
	// once is written before the loop, body for each turn, of so many numbers,
	// from so many bytes.
	once, body     func(l *listing, m machine)
	numbers, bytes int
}

// unpacks writes what makes float32 of weights. Package kernel says what each
// computes.
func unpacks(d *declarations) []byte {
	l := newListing()
	for _, u := range unpackers() {
		arguments := "n int, " + strings.Join(u.arguments, ", ") + " unsafe.Pointer"
		for _, m := range []machine{avx512, avx2} {
			u.write(l, m)
			d.of(m).function(u.name+m.name, arguments)
		}
		d.choice(u.name, arguments, "n, "+strings.Join(u.arguments, ", "))
	}
	return l.Bytes()
}

// write writes a loop for a machine: n turns, of which dst and what is unpacked
// move on.
func (u unpacker) write(l *listing, m machine) {
	l.text(u.name+m.name, 8+8*len(u.arguments))
	l.put("MOVQ n+0(FP), CX")
	for i, name := range u.arguments {
		l.put("MOVQ %s+%d(FP), %s", name, 8+8*i, pointers[i])
	}
	if u.once != nil {
		u.once(l, m)
	}
	l.label("loop")
	l.put("TESTQ CX, CX")
	l.put("JZ done")
	u.body(l, m)
	l.put("ADDQ $%d, %s", 4*u.numbers, pointers[0])
	if u.bytes > 0 {
		l.put("ADDQ $%d, %s", u.bytes, pointers[1])
	}
	l.put("DECQ CX")
	l.put("JMP loop")
	l.label("done")
	l.end()
}

// parts runs f for each register of numbers, with the place of its numbers.
func (u unpacker) parts(m machine, f func(i, at int)) {
	wide := m.bytes / 4
	for i := range u.numbers / wide {
		f(i, i*wide)
	}
}

func unpackers() []unpacker {
	bfloat := unpacker{name: "unpackBFloat", arguments: []string{"dst", "src"}, numbers: 32, bytes: 64}
	bfloat.body = func(l *listing, m machine) {
		bfloat.parts(m, func(i, at int) {
			r := m.reg(i)
			l.put("VPMOVZXWD %d(BX), %s", 2*at, r)
			l.put("VPSLLD $16, %[1]s, %[1]s", r)
			l.put("VMOVUPS %s, %d(AX)", r, 4*at)
		})
	}
	half := unpacker{name: "unpackHalf", arguments: []string{"dst", "src"}, numbers: 32, bytes: 64}
	half.body = func(l *listing, m machine) {
		half.parts(m, func(i, at int) {
			l.put("VCVTPH2PS %d(BX), %s", 2*at, m.reg(i))
			l.put("VMOVUPS %s, %d(AX)", m.reg(i), 4*at)
		})
	}
	eight := unpacker{name: "unpackBytes", arguments: []string{"dst", "src", "factors"}, numbers: 32, bytes: 32}
	factor := func(m machine, i int) string { return m.reg(m.count - 1 - i) }
	eight.once = func(l *listing, m machine) {
		eight.parts(m, func(i, at int) { l.put("VMOVUPS %d(DX), %s", 4*at, factor(m, i)) })
	}
	eight.body = func(l *listing, m machine) {
		eight.parts(m, func(i, at int) {
			r := m.reg(i)
			l.put("VPMOVSXBD %d(BX), %s", at, r)
			l.put("VCVTDQ2PS %[1]s, %[1]s", r)
			l.put("VMULPS %s, %[2]s, %[2]s", factor(m, i), r)
			l.put("VMOVUPS %s, %d(AX)", r, 4*at)
		})
	}
	four := unpacker{name: "unpackNibbles", arguments: []string{"dst", "src", "table", "factors"}, numbers: 32, bytes: 16}
	four.once = func(l *listing, m machine) {
		four.parts(m, func(i, at int) { l.put("VMOVUPS %d(SI), %s", 4*at, factor(m, i)) })
		for i := range 64 / m.bytes { // the table
			l.put("VMOVUPS %d(DX), %s", i*m.bytes, m.reg(8+i))
		}
	}
	four.body = func(l *listing, m machine) {
		four.parts(m, func(i, at int) {
			r := m.reg(i)
			l.put("VPMOVZXBD %d(BX), %s", at%16, r) // outputs from 16 on are in the upper halves
			if at >= 16 {
				l.put("VPSRLD $4, %[1]s, %[1]s", r)
			}
			lookUp(l, m, r)
			l.put("VMULPS %s, %[2]s, %[2]s", factor(m, i), r)
			l.put("VMOVUPS %s, %d(AX)", r, 4*at)
		})
	}
	return []unpacker{bfloat, half, eight, four, roundBFloat(), roundHalf()}
}

// lookUp replaces indices, by their lower four bits, by numbers of the table in
// register 8, or 8 and 9.
func lookUp(l *listing, m machine, r string) {
	if m == avx512 {
		l.put("VPERMPS %s, %[2]s, %[2]s", m.reg(8), r)
		return
	}
	low, high := m.reg(4), m.reg(5)
	l.put("VPERMPS %s, %s, %s", m.reg(8), r, low)
	l.put("VPERMPS %s, %s, %s", m.reg(9), r, high)
	l.put("VPSLLD $28, %[1]s, %[1]s", r) // bit 3 chooses
	l.put("VBLENDVPS %s, %s, %s, %[1]s", r, high, low)
}

// roundBFloat rounds to bfloat16, to the nearest and to even between two.
func roundBFloat() unpacker {
	u := unpacker{name: "roundBFloat", arguments: []string{"x"}, numbers: 16}
	and := map[bool]string{true: "VPANDD", false: "VPAND"}
	one := func(m machine, i int) string { return m.reg(m.count - 1 - i) }
	u.once = func(l *listing, m machine) {
		if m == avx512 {
			l.put("VPTERNLOGD $255, %[1]s, %[1]s, %[1]s", one(m, 0))
		} else {
			l.put("VPCMPEQD %[1]s, %[1]s, %[1]s", one(m, 0))
		}
		l.put("VPSLLD $16, %s, %s", one(m, 0), one(m, 1)) // the bits that stay
		l.put("VPSRLD $17, %s, %s", one(m, 0), one(m, 2)) // 0x7fff
		l.put("VPSRLD $31, %[1]s, %[1]s", one(m, 0))      // 1
	}
	u.body = func(l *listing, m machine) {
		u.parts(m, func(i, at int) {
			x, t := m.reg(2*i), m.reg(2*i+1)
			l.put("VMOVUPS %d(AX), %s", 4*at, x)
			l.put("VPSRLD $16, %s, %s", x, t)
			l.put("%s %s, %[3]s, %[3]s", and[m == avx512], one(m, 0), t)
			l.put("VPADDD %s, %[2]s, %[2]s", one(m, 2), x)
			l.put("VPADDD %s, %[2]s, %[2]s", t, x)
			l.put("%s %s, %[3]s, %[3]s", and[m == avx512], one(m, 1), x)
			l.put("VMOVUPS %s, %d(AX)", x, 4*at)
		})
	}
	return u
}

// roundHalf rounds to float16.
func roundHalf() unpacker {
	u := unpacker{name: "roundHalf", arguments: []string{"x"}, numbers: 16}
	u.body = func(l *listing, m machine) {
		u.parts(m, func(i, at int) {
			x := m.reg(2 * i)
			narrow := fmt.Sprintf("%s%d", map[bool]string{true: "Y", false: "X"}[m == avx512], 2*i+1)
			l.put("VMOVUPS %d(AX), %s", 4*at, x)
			l.put("VCVTPS2PH $0, %s, %s", x, narrow)
			l.put("VCVTPH2PS %s, %s", narrow, x)
			l.put("VMOVUPS %s, %d(AX)", x, 4*at)
		})
	}
	return u
}
