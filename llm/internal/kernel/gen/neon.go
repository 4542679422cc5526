package main

import (
	"fmt"
	"strconv"
	"strings"
)

// Registers of arm64. The last two vector registers hold operands from memory and
// what is under way.
const (
	neonCount   = "R0"
	neonSums    = "R6"
	neonTable   = "R7"
	neonAddress = "R8" // of a constant
	neonWork    = "V30"
	neonNumber  = "V31"
)

// neonPointer holds what the i-th moving argument points to, R1 to R5.
func neonPointer(i int) string { return fmt.Sprintf("R%d", 1+i) }

// The words of instructions that Go's assembler has no name for, of vectors of four
// float32 (Arm Architecture Reference Manual, C7.2): the second operand is shifted by
// 16 bits, the first by 5.
const (
	fadd   = 0x4e20d400
	fsub   = 0x4ea0d400
	fmul   = 0x6e20dc00
	fdiv   = 0x6e20fc00
	fsqrt  = 0x6ea1f800
	fcmgt  = 0x6ea0e400
	bsl    = 0x6e601c00 // of bits
	fmla   = 0x4e20cc00
	fmls   = 0x4ea0cc00
	fmla0  = 0x4f801000 // the second operand is number 0 of its vector
	shll   = 0x2e613800 // four halves to the upper halves of words
	shll2  = 0x6e613800 // the last four of eight
	fcvtl  = 0x0e217800 // four float16
	fcvtl2 = 0x4e217800
	fcvtn  = 0x0e216800
	sxtlB  = 0x0f08a400 // eight bytes to halves
	sxtlB2 = 0x4f08a400
	sxtlH  = 0x0f10a400 // four halves to words
	sxtlH2 = 0x4f10a400
	scvtf  = 0x4e21d800
)

// word writes an instruction d = a ∘ b by its word.
func (l *listing) word(base uint32, d, a, b string) {
	w := base | uint32(register(a))<<5 | uint32(register(d))
	if b != "" {
		w |= uint32(register(b)) << 16
	}
	l.put("WORD $0x%08x", w)
}

// register is the number of a vector register.
func register(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "V"))
	if err != nil {
		panic("no register: " + name)
	}
	return n
}

// scalarName is a vector register as instructions that take a part of it name it.
func scalarName(r string) string { return "F" + strings.TrimPrefix(r, "V") }

// writeNeon is write for Neon.
func (v *vector) writeNeon() {
	for i := range v.m.count - 2 {
		v.free = append(v.free, v.m.reg(i))
	}
	at := 8 + 8*len(v.k.moving)
	v.out.text(v.k.name+v.m.name, v.bytes())
	v.out.put("MOVD n+0(FP), %s", neonCount)
	for i, name := range v.k.moving {
		v.out.put("MOVD %s+%d(FP), %s", name, 8+8*i, neonPointer(i))
	}
	if v.k.sums {
		v.out.put("MOVD sums+%d(FP), %s", at, neonSums)
		at += 8
	}
	if v.k.table {
		v.out.put("MOVD table+%d(FP), %s", at, neonTable)
		at += 8
	}
	for i, name := range v.k.scalars {
		r := v.take()
		v.out.put("FMOVS %s+%d(FP), %s", name, at+4*i, scalarName(r))
		v.out.put("VDUP %s.S[0], %s.S4", r, r)
		v.scalar[name] = v.same(r)
	}
	var sums operand
	if v.k.sums {
		sums = v.new()
		v.op("VMOVUPS", v.places(neonSums, "", 0), sums)
		v.scalar["sums"] = sums
	}
	loop := v.body()
	v.out.label("loop")
	v.out.put("CBZ %s, done", neonCount)
	v.out.WriteString(loop)
	for i := range v.k.moving {
		v.out.put("ADD $64, %s", neonPointer(i))
	}
	v.out.put("SUB $16, %s", neonCount)
	v.out.put("B loop")
	v.out.label("done")
	if v.k.sums {
		v.op("VMOVUPS", sums, v.places(neonSums, "", 0))
	}
	v.out.put("RET")
}

// opNeon writes what an instruction of AVX does, for each part.
func (v *vector) opNeon(name string, operands []operand) {
	for _, o := range operands {
		if strings.HasSuffix(o[0], "(SB)") { // one number, for all parts
			v.out.put("MOVD $%s, %s", o[0], neonAddress)
			v.out.put("FMOVQ (%s), %s", neonAddress, scalarName(neonNumber))
		}
	}
	for p := range v.m.parts {
		list := make([]string, len(operands))
		for i, o := range operands {
			list[i] = o[p]
		}
		v.partNeon(name, list)
	}
}

// inRegister is an operand in a register; one from memory is brought to a place of work.
func (v *vector) inRegister(o string) string {
	switch {
	case strings.HasPrefix(o, "V"):
		return o
	case strings.HasSuffix(o, "(SB)"):
		return neonNumber
	}
	v.out.put("FMOVQ %s, %s", o, scalarName(neonWork))
	return neonWork
}

// partNeon writes an instruction of AVX for a part. Its operands stand in the order of
// Go's assembler: the result is the last, and what is subtracted or divided by the first.
func (v *vector) partNeon(name string, o []string) {
	d := o[len(o)-1]
	if name == "VMOVUPS" {
		v.moveNeon(o[0], d)
		return
	}
	a := v.inRegister(o[0])
	b := ""
	if len(o) == 3 {
		b = v.inRegister(o[1])
	}
	switch name {
	case "VADDPS":
		v.out.word(fadd, d, b, a)
	case "VSUBPS":
		v.out.word(fsub, d, b, a)
	case "VMULPS":
		v.out.word(fmul, d, b, a)
	case "VDIVPS":
		v.out.word(fdiv, d, b, a)
	case "VSQRTPS":
		v.out.word(fsqrt, d, a, "")
	case "VFMADD231PS":
		v.out.word(fmla, d, b, a)
	case "VFNMADD231PS":
		v.out.word(fmls, d, b, a)
	case "VFMADD213PS": // d·b + a
		v.moveNeon(a, neonWork)
		v.out.word(fmla, neonWork, d, b)
		v.moveNeon(neonWork, d)
	case "VMAXPS", "VMINPS": // b where it is larger or smaller, else a, as AVX chooses
		greater, other := b, a
		if name == "VMINPS" {
			greater, other = a, b
		}
		mask := neonWork
		if a == neonWork || b == neonWork {
			mask = neonNumber
		}
		v.out.word(fcmgt, mask, greater, other)
		v.out.word(bsl, mask, b, a)
		v.moveNeon(mask, d)
	case "VPADDD":
		v.out.put("VADD %s.S4, %s.S4, %s.S4", a, b, d)
	default:
		panic("Neon has no " + name)
	}
}

// moveNeon moves a vector between registers, or between a register and memory.
func (v *vector) moveNeon(from, to string) {
	switch {
	case !strings.HasPrefix(to, "V"):
		v.out.put("FMOVQ %s, %s", scalarName(v.inRegister(from)), to)
	case strings.HasPrefix(from, "V"):
		if from != to {
			v.out.put("VMOV %s.B16, %s.B16", from, to)
		}
	case strings.HasSuffix(from, "(SB)"):
		v.out.put("VMOV %s.B16, %s.B16", neonNumber, to)
	default:
		v.out.put("FMOVQ %s, %s", from, scalarName(to))
	}
}
