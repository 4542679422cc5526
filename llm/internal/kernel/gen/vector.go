package main

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// kernel is a loop over vectors of sixteen numbers. Its arguments are n, a
// multiple of sixteen, then what moves on with the loop, then what stays.
type kernel struct {
	name string
	// moving are pointers to n numbers each.
	moving []string
	// sums says that the kernel has sixteen partial sums (or maxima) in memory.
	sums bool
	// table is a pointer to scalars, each of them sixteen times.
	table bool
	// scalars are numbers that are the same for every element.
	scalars []string
	body    func(v *vector)
}

// operand is a vector as operands of instructions, one for each part.
type operand []string

// vector writes a kernel for a machine.
type vector struct {
	out     *assembly.Listing
	m       assembly.Machine
	k       kernel
	free    []string
	numbers map[uint32]operand // in registers
	scalar  map[string]operand
}

const (
	sumsPointer  = "R8"
	tablePointer = "R9"
)

// vectors writes all kernels.
func vectors(d *assembly.Declarations) (amd64, arm64 []byte) {
	x, a := assembly.NewListing(), assembly.NewListing()
	for _, k := range kernels() {
		for _, m := range assembly.Machines() {
			v := &vector{out: x, m: m, k: k, numbers: map[uint32]operand{}, scalar: map[string]operand{}}
			if m == assembly.Neon {
				v.out = a
				v.writeNeon()
				continue
			}
			v.write()
		}
		declareVector(d, k)
	}
	numbers(x)
	numbers(a)
	return x.Bytes(), a.Bytes()
}

// body writes the loop's body. It comes before the rest, because it says what numbers
// it needs.
func (v *vector) body() string {
	whole := v.out
	v.out = &assembly.Listing{}
	v.k.body(v)
	loop := v.out.String()
	v.out = whole
	return loop
}

// bytes is what the arguments take.
func (k kernel) bytes() int {
	size := 8 + 8*len(k.moving) + 4*len(k.scalars)
	if k.sums {
		size += 8
	}
	if k.table {
		size += 8
	}
	return size
}

func (v *vector) write() {
	for i := range v.m.Count {
		v.free = append(v.free, v.m.Reg(i))
	}
	at := 8 + 8*len(v.k.moving)
	v.out.Text(v.k.name+v.m.Name, v.k.bytes())
	v.out.Put("MOVQ n+0(FP), CX")
	for i, name := range v.k.moving {
		v.out.Put("MOVQ %s+%d(FP), %s", name, 8+8*i, assembly.Pointers()[i])
	}
	if v.k.sums {
		v.out.Put("MOVQ sums+%d(FP), %s", at, sumsPointer)
		at += 8
	}
	if v.k.table {
		v.out.Put("MOVQ table+%d(FP), %s", at, tablePointer)
		at += 8
	}
	for i, name := range v.k.scalars {
		r := v.take()
		v.out.Put("VBROADCASTSS %s+%d(FP), %s", name, at+4*i, r)
		v.scalar[name] = v.same(r)
	}
	var sums operand
	if v.k.sums {
		sums = v.new()
		v.op("VMOVUPS", v.places(sumsPointer, "", 0), sums)
		v.scalar["sums"] = sums
	}
	v.out.Put("XORQ R12, R12")
	loop := v.body()
	for _, n := range sorted(v.numbers) {
		if r := v.numbers[n]; v.m == assembly.AVX512 {
			v.out.Put("VMOVUPS %s, %s", number(n), r[0])
		}
	}
	v.out.Label("loop")
	v.out.Put("TESTQ CX, CX")
	v.out.Put("JZ done")
	v.out.WriteString(loop)
	v.out.Put("ADDQ $64, R12")
	v.out.Put("SUBQ $16, CX")
	v.out.Put("JMP loop")
	v.out.Label("done")
	if v.k.sums {
		v.op("VMOVUPS", sums, v.places(sumsPointer, "", 0))
	}
	v.out.End()
}

// take takes a free register.
func (v *vector) take() string {
	if len(v.free) == 0 {
		panic(v.k.name + v.m.Name + ": no register is left")
	}
	r := v.free[0]
	v.free = v.free[1:]
	return r
}

// same is one register for all parts.
func (v *vector) same(r string) operand {
	out := make(operand, v.m.Parts)
	for i := range out {
		out[i] = r
	}
	return out
}

// new is a vector in registers of its own.
func (v *vector) new() operand {
	out := make(operand, v.m.Parts)
	for i := range out {
		out[i] = v.take()
	}
	return out
}

// drop gives the registers of vectors back.
func (v *vector) drop(list ...operand) {
	for _, o := range list {
		v.free = append(append([]string(nil), o...), v.free...)
	}
}

// places is where the parts of a vector lie in memory.
func (v *vector) places(base, index string, at int) operand {
	out := make(operand, v.m.Parts)
	for i := range out {
		out[i] = fmt.Sprintf("%d(%s)%s", at+i*v.m.Bytes, base, index)
	}
	return out
}

// at is the vector of an argument that the loop has come to.
func (v *vector) at(name string) operand {
	for i, n := range v.k.moving {
		if n == name && v.m == assembly.Neon {
			return v.places(neonPointer(i), "", 0)
		}
		if n == name {
			return v.places(assembly.Pointers()[i], "(R12*1)", 0)
		}
	}
	panic(v.k.name + ": no argument " + name)
}

// wide is an entry of the table.
func (v *vector) wide(i int) operand {
	if v.m == assembly.Neon {
		return v.places(neonTable, "", 64*i)
	}
	return v.places(tablePointer, "", 64*i)
}

// number is a constant, by its bits: a register of AVX-512, which has many,
// and a place in memory else.
func (v *vector) number(bits uint32) operand {
	if o, ok := v.numbers[bits]; ok {
		return o
	}
	o := v.same(number(bits))
	if v.m == assembly.AVX512 {
		o = operand{v.free[len(v.free)-1]}
		v.free = v.free[:len(v.free)-1]
	}
	v.numbers[bits] = o
	return o
}

// op writes an instruction for each part.
func (v *vector) op(name string, operands ...operand) {
	if v.m == assembly.Neon {
		opNeon(v.out, name, operands)
		return
	}
	for p := range v.m.Parts {
		var list []string
		for _, o := range operands {
			list = append(list, o[p])
		}
		v.out.Put("%s %s", name, strings.Join(list, ", "))
	}
}

// load is a vector of an argument in registers.
func (v *vector) load(name string) operand {
	r := v.new()
	v.op("VMOVUPS", v.at(name), r)
	return r
}

func (v *vector) store(r operand, name string) { v.op("VMOVUPS", r, v.at(name)) }

// shift writes a shift of each part by so many bits to the left.
func (v *vector) shift(bits int, r operand) {
	for _, p := range r {
		if v.m == assembly.Neon {
			v.out.Put("VSHL $%d, %s.S4, %s.S4", bits, p, p)
			continue
		}
		v.out.Put("VPSLLD $%d, %s, %s", bits, p, p)
	}
}
