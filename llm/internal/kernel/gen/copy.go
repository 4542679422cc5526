package main

import "fmt"

// copies writes what brings operands of a product side by side: runs of as
// many numbers as a tile is wide (columns of B) or high (rows of A), and
// columns that become rows.
func copies(d *declarations) []byte {
	l := newListing()
	for _, m := range []machine{avx512, avx2} {
		for _, width := range []int{32 / m.parts, m.rows} {
			runs(l, m, width)
		}
	}
	transpose(l)
	for _, c := range copied() {
		d.amd64.function(c.name, c.arguments)
	}
	return l.Bytes()
}

// copied are the functions that bring operands side by side, and whether arm64 has
// tiles for which it needs them.
func copied() []struct {
	name, arguments string
	arm64           bool
} {
	const run = "n int, src unsafe.Pointer, distance uintptr, dst unsafe.Pointer"
	return []struct {
		name, arguments string
		arm64           bool
	}{
		{"copy32", run, false},
		{"copy12", run, false},
		{"copy16", run, true},
		{"copy6", run, true},
		{"transpose8", run + ", row uintptr", true},
	}
}

// runs copies n runs of width numbers each.
func runs(l *listing, m machine, width int) {
	l.text(fmt.Sprintf("copy%d", width), 32)
	for _, a := range []string{"n+0(FP), CX", "src+8(FP), AX", "distance+16(FP), SI", "dst+24(FP), BX"} {
		l.put("MOVQ %s", a)
	}
	l.label("loop")
	l.put("TESTQ CX, CX")
	l.put("JZ done")
	type move struct {
		op, reg string
		at      int
	}
	var moves []move
	for at := 0; at < width; {
		kind := move{"VMOVSD", "X", 2}
		switch left := width - at; {
		case left >= 16 && m == avx512:
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
		l.put("%s %d(AX), %s", x.op, x.at, x.reg)
	}
	l.put("PREFETCHT0 (AX)(SI*8)")
	for _, x := range moves {
		l.put("%s %s, %d(BX)", x.op, x.reg, x.at)
	}
	l.put("ADDQ SI, AX")
	l.put("ADDQ $%d, BX", 4*width)
	l.put("DECQ CX")
	l.put("JMP loop")
	l.label("done")
	l.end()
}

// transpose turns 8 rows of n numbers, a multiple of 8, into n rows of 8.
func transpose(l *listing) {
	l.text("transpose8", 40)
	for _, a := range []string{"n+0(FP), CX", "src+8(FP), AX", "distance+16(FP), SI", "dst+24(FP), BX", "row+32(FP), DX"} {
		l.put("MOVQ %s", a)
	}
	for _, a := range []string{"(SI)(SI*2), R8", "(SI)(SI*4), R9", "(R9)(SI*2), R10", "(DX)(DX*2), R11", "(DX)(DX*4), R12", "(R12)(DX*2), R13"} {
		l.put("LEAQ %s", a)
	}
	from := []string{"(AX)", "(AX)(SI*1)", "(AX)(SI*2)", "(AX)(R8*1)", "(AX)(SI*4)", "(AX)(R9*1)", "(AX)(R8*2)", "(AX)(R10*1)"}
	to := []string{"(BX)", "(BX)(DX*1)", "(BX)(DX*2)", "(BX)(R11*1)", "(BX)(DX*4)", "(BX)(R12*1)", "(BX)(R11*2)", "(BX)(R13*1)"}
	l.label("loop")
	l.put("CMPQ CX, $8")
	l.put("JLT done")
	for half := range 2 { // the first four columns, then the others
		for i := range 4 {
			l.put("VMOVUPS %d%s, X%d", 16*half, from[i], i)
			l.put("VINSERTF128 $1, %d%s, Y%d, Y%d", 16*half, from[i+4], i, i)
		}
		for i, pair := range []string{"Y1, Y0", "Y3, Y2"} {
			l.put("VUNPCKLPS %s, Y%d", pair, 4+2*i)
			l.put("VUNPCKHPS %s, Y%d", pair, 5+2*i)
		}
		for i := range 2 {
			l.put("VUNPCKLPD Y%d, Y%d, Y%d", 6+i, 4+i, 2*i)
			l.put("VUNPCKHPD Y%d, Y%d, Y%d", 6+i, 4+i, 2*i+1)
		}
		for i := range 4 {
			l.put("VMOVUPS Y%d, %s", i, to[4*half+i])
		}
	}
	l.put("ADDQ $32, AX")
	l.put("LEAQ (BX)(DX*8), BX")
	l.put("SUBQ $8, CX")
	l.put("JMP loop")
	l.label("done")
	l.end()
}
