package main

import (
	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// neonProducts writes the tiles of products for Neon: up to six rows of sixteen
// columns, in registers 0 to 23. A row of B is in 24 to 27, numbers of A in 28 on.
func neonProducts(d *assembly.Declarations) []byte {
	l := assembly.NewListing()
	for _, half := range []bool{false, true} {
		var names []string
		for rows := 1; rows <= assembly.Neon.Rows; rows++ {
			t := neonTile{Listing: l, rows: rows, half: half}
			t.write()
			names = append(names, t.name())
		}
		d.Tiles(names, tileArguments, assembly.Neon, assembly.Neon.Parts, half)
	}
	neonTile{Listing: l, rows: assembly.Neon.Rows, stacked: true}.write()
	return l.Bytes()
}

// neonTile is a kernel for a tile of so many rows. With half, B holds bfloat16.
// A stacked one makes several, one under the other, in one call.
type neonTile struct {
	*assembly.Listing
	rows          int
	half, stacked bool
}

func (t neonTile) name() string {
	return tile{m: assembly.Neon, rows: t.rows, wide: assembly.Neon.Parts, half: t.half, stacked: t.stacked}.name()
}

func (t neonTile) write() {
	if t.stacked {
		t.Text(t.name(), 96)
		t.Label("tile")
	} else {
		t.Text(t.name(), 80)
	}
	for i, a := range []string{"k+0", "a+8", "rowA+16", "colA+24", "b+32", "rowB+40", "c+48", "rowC+56"} {
		t.Put("MOVD %s(FP), R%d", a, i)
	}
	t.Put("MOVD add+72(FP), R8")
	t.Put("MOVD R1, R9") // the rows of A are in R9 on, the distance in R15
	for row := 1; row < t.rows; row++ {
		t.Put("ADD R2, R%d, R%d", 8+row, 9+row)
	}
	t.Put("MOVD $0, R15")
	t.Put("CBNZ R8, load")
	for i := range 4 * t.rows {
		t.Put("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", i)
	}
	t.Put("B begin")
	t.Label("load")
	t.Put("MOVD R6, R8")
	for row := range t.rows {
		t.Put("VLD1 (R8), %s", assembly.Registers(4*row))
		t.Put("ADD R7, R8")
	}
	t.Label("begin")
	t.Put("CBZ R0, done")
	t.Label("loop")
	if t.half {
		t.Put("VLD1 (R4), [V24.H8, V25.H8]")
		t.Word(assembly.Shll, "V26", "V25", "")
		t.Word(assembly.Shll2, "V27", "V25", "")
		t.Word(assembly.Shll2, "V25", "V24", "")
		t.Word(assembly.Shll, "V24", "V24", "")
	} else {
		t.Put("VLD1 (R4), %s", assembly.Registers(24))
	}
	t.Put("ADD R5, R4")
	for row := range t.rows {
		a := assembly.Neon.Reg(28 + row%4)
		t.Put("FMOVS (R%d)(R15), %s", 9+row, assembly.ScalarName(a))
		for p := range 4 {
			t.Word(assembly.FMla0, assembly.Neon.Reg(4*row+p), assembly.Neon.Reg(24+p), a)
		}
	}
	t.Put("ADD R3, R15")
	t.Put("SUB $1, R0")
	t.Put("CBNZ R0, loop")
	t.Label("done")
	for row := range t.rows {
		t.Put("VST1 %s, (R6)", assembly.Registers(4*row))
		t.Put("ADD R7, R6")
	}
	if t.stacked {
		t.Put("MOVD R6, c+48(FP)")
		t.Put("MOVD a+8(FP), R1")
		t.Put("MOVD nextA+88(FP), R2")
		t.Put("ADD R2, R1")
		t.Put("MOVD R1, a+8(FP)")
		t.Put("MOVD tiles+80(FP), R0")
		t.Put("SUB $1, R0")
		t.Put("MOVD R0, tiles+80(FP)")
		t.Put("CBNZ R0, tile")
	}
	t.Put("RET")
}

// neonCopies writes what brings operands side by side, see copies.
func neonCopies(d *assembly.Declarations) []byte {
	l := assembly.NewListing()
	for _, c := range copied() {
		if c.ARM64 {
			d.ARM64.Function(c.Name, c.Arguments)
		}
	}
	run := func(name string, body ...string) {
		l.Text(name, 32)
		for i, a := range []string{"n+0", "src+8", "distance+16", "dst+24"} {
			l.Put("MOVD %s(FP), R%d", a, i)
		}
		l.Label("loop")
		l.Put("CBZ R0, done")
		for _, b := range body {
			l.Put("%s", b)
		}
		l.Put("ADD R2, R1")
		l.Put("SUB $1, R0")
		l.Put("B loop")
		l.Label("done")
		l.Put("RET")
	}
	run("copy16", "VLD1 (R1), "+assembly.Registers(0), "VST1.P "+assembly.Registers(0)+", 64(R3)")
	run("copy6", "FMOVQ (R1), F0", "FMOVD 16(R1), F1", "FMOVQ F0, (R3)", "FMOVD F1, 16(R3)", "ADD $24, R3")
	neonTranspose(l)
	return l.Bytes()
}

// neonTranspose turns 8 rows of n numbers, a multiple of 8, into n rows of 8.
func neonTranspose(l *assembly.Listing) {
	l.Text("transpose8", 40)
	for i, a := range []string{"n+0", "src+8", "distance+16", "dst+24", "row+32"} {
		l.Put("MOVD %s(FP), R%d", a, i)
	}
	l.Put("MOVD R1, R5") // the rows are in R5 to R12
	for i := range 7 {
		l.Put("ADD R2, R%d, R%d", 5+i, 6+i)
	}
	l.Label("loop")
	l.Put("CBZ R0, done")
	l.Put("MOVD R3, R13")
	for half := range 2 { // the first four rows, then the others
		for i := range 4 {
			l.Put("VLD1.P 16(R%d), [V%d.S4]", 5+4*half+i, i)
		}
		at := 8 + 4*half
		for i, op := range []string{"VZIP1", "VZIP2"} {
			l.Put("%s V2.S4, V0.S4, V%d.S4", op, 4+i)
			l.Put("%s V3.S4, V1.S4, V%d.S4", op, 6+i)
		}
		for i := range 2 { // columns 0 and 1 of the first halves, 2 and 3 of the others
			l.Put("VZIP1 V%d.S4, V%d.S4, V%d.S4", 6+i, 4+i, at+2*i)
			l.Put("VZIP2 V%d.S4, V%d.S4, V%d.S4", 6+i, 4+i, at+2*i+1)
		}
	}
	for i := range 4 {
		l.Put("FMOVQ F%d, (R13)", 8+i)
		l.Put("FMOVQ F%d, 16(R13)", 12+i)
		l.Put("ADD R4, R13")
	}
	l.Put("MOVD R13, R3")
	l.Put("SUB $4, R0")
	l.Put("B loop")
	l.Label("done")
	l.Put("RET")
}
