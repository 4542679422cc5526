package main

import "fmt"

// neonProducts writes the tiles of products for Neon: up to six rows of sixteen
// columns, in registers 0 to 23. A row of B is in 24 to 27, numbers of A in 28 on.
func neonProducts(d *declarations) []byte {
	l := newListing()
	for _, half := range []bool{false, true} {
		var names []string
		for rows := 1; rows <= neon.rows; rows++ {
			t := neonTile{listing: l, rows: rows, half: half}
			t.write()
			names = append(names, t.name())
		}
		d.tiles(names, neon, neon.parts, half)
	}
	return l.Bytes()
}

// neonTile is a kernel for a tile of so many rows. With half, B holds bfloat16.
type neonTile struct {
	*listing
	rows int
	half bool
}

func (t neonTile) name() string {
	return tile{m: neon, rows: t.rows, wide: neon.parts, half: t.half}.name()
}

// registers are the four registers from one on, as a list of the assembler.
func registers(first int) string {
	return fmt.Sprintf("[V%d.S4, V%d.S4, V%d.S4, V%d.S4]", first, first+1, first+2, first+3)
}

func (t neonTile) write() {
	t.text(t.name(), 80)
	for i, a := range []string{"k+0", "a+8", "rowA+16", "colA+24", "b+32", "rowB+40", "c+48", "rowC+56"} {
		t.put("MOVD %s(FP), R%d", a, i)
	}
	t.put("MOVD add+72(FP), R8")
	t.put("MOVD R1, R9") // the rows of A are in R9 on, the distance in R15
	for row := 1; row < t.rows; row++ {
		t.put("ADD R2, R%d, R%d", 8+row, 9+row)
	}
	t.put("MOVD $0, R15")
	t.put("CBNZ R8, load")
	for i := range 4 * t.rows {
		t.put("VEOR V%[1]d.B16, V%[1]d.B16, V%[1]d.B16", i)
	}
	t.put("B begin")
	t.label("load")
	t.put("MOVD R6, R8")
	for row := range t.rows {
		t.put("VLD1 (R8), %s", registers(4*row))
		t.put("ADD R7, R8")
	}
	t.label("begin")
	t.put("CBZ R0, done")
	t.label("loop")
	if t.half {
		t.put("VLD1 (R4), [V24.H8, V25.H8]")
		t.word(shll, "V26", "V25", "")
		t.word(shll2, "V27", "V25", "")
		t.word(shll2, "V25", "V24", "")
		t.word(shll, "V24", "V24", "")
	} else {
		t.put("VLD1 (R4), %s", registers(24))
	}
	t.put("ADD R5, R4")
	for row := range t.rows {
		a := neon.reg(28 + row%4)
		t.put("FMOVS (R%d)(R15), %s", 9+row, scalarName(a))
		for p := range 4 {
			t.word(fmla0, neon.reg(4*row+p), neon.reg(24+p), a)
		}
	}
	t.put("ADD R3, R15")
	t.put("SUB $1, R0")
	t.put("CBNZ R0, loop")
	t.label("done")
	for row := range t.rows {
		t.put("VST1 %s, (R6)", registers(4*row))
		t.put("ADD R7, R6")
	}
	t.put("RET")
}

// neonCopies writes what brings operands side by side, see copies.
func neonCopies(d *declarations) []byte {
	l := newListing()
	for _, c := range copied() {
		if c.arm64 {
			d.arm64.function(c.name, c.arguments)
		}
	}
	run := func(name string, body ...string) {
		l.text(name, 32)
		for i, a := range []string{"n+0", "src+8", "distance+16", "dst+24"} {
			l.put("MOVD %s(FP), R%d", a, i)
		}
		l.label("loop")
		l.put("CBZ R0, done")
		for _, b := range body {
			l.put("%s", b)
		}
		l.put("ADD R2, R1")
		l.put("SUB $1, R0")
		l.put("B loop")
		l.label("done")
		l.put("RET")
	}
	run("copy16", "VLD1 (R1), "+registers(0), "VST1.P "+registers(0)+", 64(R3)")
	run("copy6", "FMOVQ (R1), F0", "FMOVD 16(R1), F1", "FMOVQ F0, (R3)", "FMOVD F1, 16(R3)", "ADD $24, R3")
	neonTranspose(l)
	return l.Bytes()
}

// neonTranspose turns 8 rows of n numbers, a multiple of 8, into n rows of 8.
func neonTranspose(l *listing) {
	l.text("transpose8", 40)
	for i, a := range []string{"n+0", "src+8", "distance+16", "dst+24", "row+32"} {
		l.put("MOVD %s(FP), R%d", a, i)
	}
	l.put("MOVD R1, R5") // the rows are in R5 to R12
	for i := range 7 {
		l.put("ADD R2, R%d, R%d", 5+i, 6+i)
	}
	l.label("loop")
	l.put("CBZ R0, done")
	l.put("MOVD R3, R13")
	for half := range 2 { // the first four rows, then the others
		for i := range 4 {
			l.put("VLD1.P 16(R%d), [V%d.S4]", 5+4*half+i, i)
		}
		at := 8 + 4*half
		for i, op := range []string{"VZIP1", "VZIP2"} {
			l.put("%s V2.S4, V0.S4, V%d.S4", op, 4+i)
			l.put("%s V3.S4, V1.S4, V%d.S4", op, 6+i)
		}
		for i := range 2 { // columns 0 and 1 of the first halves, 2 and 3 of the others
			l.put("VZIP1 V%d.S4, V%d.S4, V%d.S4", 6+i, 4+i, at+2*i)
			l.put("VZIP2 V%d.S4, V%d.S4, V%d.S4", 6+i, 4+i, at+2*i+1)
		}
	}
	for i := range 4 {
		l.put("FMOVQ F%d, (R13)", 8+i)
		l.put("FMOVQ F%d, 16(R13)", 12+i)
		l.put("ADD R4, R13")
	}
	l.put("MOVD R13, R3")
	l.put("SUB $4, R0")
	l.put("B loop")
	l.label("done")
	l.put("RET")
}
