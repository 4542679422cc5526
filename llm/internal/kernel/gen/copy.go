package main

import (
	"fmt"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// copies writes what brings operands of a product side by side: runs of as
// many numbers as a tile is wide (columns of B) or high (rows of A), and
// columns that become rows.
func copies(d *assembly.Declarations) []byte {
	l := assembly.NewListing()
	for _, m := range []assembly.Machine{assembly.AVX512, assembly.AVX2} {
		for _, width := range []int{32 / m.Parts, m.Rows} {
			runs(l, m, width)
		}
	}
	transpose(l)
	for _, c := range copied() {
		d.AMD64.Function(c.Name, c.Arguments)
	}
	return l.Bytes()
}

// copied are the functions that bring operands side by side, and whether arm64 has
// tiles for which it needs them.
func copied() []assembly.Copied {
	const run = "n int, src unsafe.Pointer, distance uintptr, dst unsafe.Pointer"
	return []assembly.Copied{
		{Name: "copy32", Arguments: run},
		{Name: "copy12", Arguments: run},
		{Name: "copy16", Arguments: run, ARM64: true},
		{Name: "copy6", Arguments: run, ARM64: true},
		{Name: "transpose8", Arguments: run + ", row uintptr", ARM64: true},
	}
}

// runs copies n runs of width numbers each.
func runs(l *assembly.Listing, m assembly.Machine, width int) {
	l.Text(fmt.Sprintf("copy%d", width), 32)
	for _, a := range []string{"n+0(FP), CX", "src+8(FP), AX", "distance+16(FP), SI", "dst+24(FP), BX"} {
		l.Put("MOVQ %s", a)
	}
	l.Label("loop")
	l.Put("TESTQ CX, CX")
	l.Put("JZ done")
	type move struct {
		op, reg string
		at      int
	}
	var moves []move
	for at := 0; at < width; {
		kind := move{"VMOVSD", "X", 2}
		switch left := width - at; {
		case left >= 16 && m == assembly.AVX512:
			kind = move{"VMOVUPS", "Z", 16}
		case left >= 8:
			kind = move{"VMOVUPS", "Y", 8}
		case left >= 4:
			kind = move{"VMOVUPS", "X", 4}
		}
		moves = append(moves, move{kind.op, fmt.Sprintf("%s%d", kind.reg, len(moves)), 4 * at})
		at += kind.at
	}
	for _, x := range moves {
		l.Put("%s %d(AX), %s", x.op, x.at, x.reg)
	}
	l.Put("PREFETCHT0 (AX)(SI*8)")
	for _, x := range moves {
		l.Put("%s %s, %d(BX)", x.op, x.reg, x.at)
	}
	l.Put("ADDQ SI, AX")
	l.Put("ADDQ $%d, BX", 4*width)
	l.Put("DECQ CX")
	l.Put("JMP loop")
	l.Label("done")
	l.End()
}

// transpose turns 8 rows of n numbers, a multiple of 8, into n rows of 8.
func transpose(l *assembly.Listing) {
	l.Text("transpose8", 40)
	for _, a := range []string{"n+0(FP), CX", "src+8(FP), AX", "distance+16(FP), SI", "dst+24(FP), BX", "row+32(FP), DX"} {
		l.Put("MOVQ %s", a)
	}
	for _, a := range []string{"(SI)(SI*2), R8", "(SI)(SI*4), R9", "(R9)(SI*2), R10", "(DX)(DX*2), R11", "(DX)(DX*4), R12", "(R12)(DX*2), R13"} {
		l.Put("LEAQ %s", a)
	}
	from := []string{"(AX)", "(AX)(SI*1)", "(AX)(SI*2)", "(AX)(R8*1)", "(AX)(SI*4)", "(AX)(R9*1)", "(AX)(R8*2)", "(AX)(R10*1)"}
	to := []string{"(BX)", "(BX)(DX*1)", "(BX)(DX*2)", "(BX)(R11*1)", "(BX)(DX*4)", "(BX)(R12*1)", "(BX)(R11*2)", "(BX)(R13*1)"}
	l.Label("loop")
	l.Put("CMPQ CX, $8")
	l.Put("JLT done")
	for half := range 2 { // the first four columns, then the others
		for i := range 4 {
			l.Put("VMOVUPS %d%s, X%d", 16*half, from[i], i)
			l.Put("VINSERTF128 $1, %d%s, Y%d, Y%d", 16*half, from[i+4], i, i)
		}
		for i, pair := range []string{"Y1, Y0", "Y3, Y2"} {
			l.Put("VUNPCKLPS %s, Y%d", pair, 4+2*i)
			l.Put("VUNPCKHPS %s, Y%d", pair, 5+2*i)
		}
		for i := range 2 {
			l.Put("VUNPCKLPD Y%d, Y%d, Y%d", 6+i, 4+i, 2*i)
			l.Put("VUNPCKHPD Y%d, Y%d, Y%d", 6+i, 4+i, 2*i+1)
		}
		for i := range 4 {
			l.Put("VMOVUPS Y%d, %s", i, to[4*half+i])
		}
	}
	l.Put("ADDQ $32, AX")
	l.Put("LEAQ (BX)(DX*8), BX")
	l.Put("SUBQ $8, CX")
	l.Put("JMP loop")
	l.Label("done")
	l.End()
}
