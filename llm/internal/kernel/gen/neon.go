package main

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
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

// writeNeon is write for Neon.
func (v *vector) writeNeon() {
	for i := range v.m.Count - 2 {
		v.free = append(v.free, v.m.Reg(i))
	}
	at := 8 + 8*len(v.k.moving)
	v.out.Text(v.k.name+v.m.Name, v.k.bytes())
	v.out.Put("MOVD n+0(FP), %s", neonCount)
	for i, name := range v.k.moving {
		v.out.Put("MOVD %s+%d(FP), %s", name, 8+8*i, neonPointer(i))
	}
	if v.k.sums {
		v.out.Put("MOVD sums+%d(FP), %s", at, neonSums)
		at += 8
	}
	if v.k.table {
		v.out.Put("MOVD table+%d(FP), %s", at, neonTable)
		at += 8
	}
	for i, name := range v.k.scalars {
		r := v.take()
		v.out.Put("FMOVS %s+%d(FP), %s", name, at+4*i, assembly.ScalarName(r))
		v.out.Put("VDUP %s.S[0], %s.S4", r, r)
		v.scalar[name] = v.same(r)
	}
	var sums operand
	if v.k.sums {
		sums = v.new()
		v.op("VMOVUPS", v.places(neonSums, "", 0), sums)
		v.scalar["sums"] = sums
	}
	loop := v.body()
	v.out.Label("loop")
	v.out.Put("CBZ %s, done", neonCount)
	v.out.WriteString(loop)
	for i := range v.k.moving {
		v.out.Put("ADD $64, %s", neonPointer(i))
	}
	v.out.Put("SUB $16, %s", neonCount)
	v.out.Put("B loop")
	v.out.Label("done")
	if v.k.sums {
		v.op("VMOVUPS", sums, v.places(neonSums, "", 0))
	}
	v.out.Put("RET")
}

// opNeon writes what an instruction of AVX does, for each part.
func opNeon(l *assembly.Listing, name string, operands []operand) {
	for _, o := range operands {
		if strings.HasSuffix(o[0], "(SB)") { // one number, for all parts
			l.Put("MOVD $%s, %s", o[0], neonAddress)
			l.Put("FMOVQ (%s), %s", neonAddress, assembly.ScalarName(neonNumber))
		}
	}
	for p := range assembly.Neon.Parts {
		list := make([]string, len(operands))
		for i, o := range operands {
			list[i] = o[p]
		}
		partNeon(l, name, list)
	}
}

// inRegister is an operand in a register; one from memory is brought to a place of work.
func inRegister(l *assembly.Listing, o string) string {
	switch {
	case strings.HasPrefix(o, "V"):
		return o
	case strings.HasSuffix(o, "(SB)"):
		return neonNumber
	}
	l.Put("FMOVQ %s, %s", o, assembly.ScalarName(neonWork))
	return neonWork
}

// partNeon writes an instruction of AVX for a part. Its operands stand in the order of
// Go's assembler: the result is the last, and what is subtracted or divided by the first.
func partNeon(l *assembly.Listing, name string, o []string) {
	d := o[len(o)-1]
	if name == "VMOVUPS" {
		moveNeon(l, o[0], d)
		return
	}
	a := inRegister(l, o[0])
	b := ""
	if len(o) == 3 {
		b = inRegister(l, o[1])
	}
	switch name {
	case "VADDPS":
		l.Word(assembly.FAdd, d, b, a)
	case "VSUBPS":
		l.Word(assembly.FSub, d, b, a)
	case "VMULPS":
		l.Word(assembly.FMul, d, b, a)
	case "VDIVPS":
		l.Word(assembly.FDiv, d, b, a)
	case "VSQRTPS":
		l.Word(assembly.FSqrt, d, a, "")
	case "VFMADD231PS":
		l.Word(assembly.FMla, d, b, a)
	case "VFNMADD231PS":
		l.Word(assembly.FMls, d, b, a)
	case "VFMADD213PS": // d·b + a
		moveNeon(l, a, neonWork)
		l.Word(assembly.FMla, neonWork, d, b)
		moveNeon(l, neonWork, d)
	case "VMAXPS", "VMINPS": // b where it is larger or smaller, else a, as AVX chooses
		greater, other := b, a
		if name == "VMINPS" {
			greater, other = a, b
		}
		mask := neonWork
		if a == neonWork || b == neonWork {
			mask = neonNumber
		}
		l.Word(assembly.FCmgt, mask, greater, other)
		l.Word(assembly.Bsl, mask, b, a)
		moveNeon(l, mask, d)
	case "VPADDD":
		l.Put("VADD %s.S4, %s.S4, %s.S4", a, b, d)
	default:
		panic("Neon has no " + name)
	}
}

// moveNeon moves a vector between registers, or between a register and memory.
func moveNeon(l *assembly.Listing, from, to string) {
	switch {
	case !strings.HasPrefix(to, "V"):
		l.Put("FMOVQ %s, %s", assembly.ScalarName(inRegister(l, from)), to)
	case strings.HasPrefix(from, "V"):
		if from != to {
			l.Put("VMOV %s.B16, %s.B16", from, to)
		}
	case strings.HasSuffix(from, "(SB)"):
		l.Put("VMOV %s.B16, %s.B16", neonNumber, to)
	default:
		l.Put("FMOVQ %s, %s", from, assembly.ScalarName(to))
	}
}
