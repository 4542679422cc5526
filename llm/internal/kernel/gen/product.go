package main

import "fmt"

// tileArguments are those of every tile, 80 bytes: the number of terms, A with
// the distances of its rows and columns, B and C with those of their rows, in
// bytes, a mask of the columns of C, and whether C is added to.
const tileArguments = "k int, a unsafe.Pointer, rowA, colA uintptr, b unsafe.Pointer, rowB uintptr, c unsafe.Pointer, rowC uintptr, mask, add int"

// products writes the tiles of the matrix product: C (+)= A·B for a tile of C
// that stays in registers. For each k in turn, a row of B is multiplied by one
// number of each row of A.
func products(d *declarations) []byte {
	l := newListing()
	for _, m := range []machine{avx512, avx2} {
		for _, half := range []bool{false, true} {
			for wide := 1; wide <= 2; wide++ {
				if wide == 1 && (m == avx2 || half) {
					continue // AVX2 writes all columns always, and panels are 32 wide
				}
				var names []string
				for rows := 1; rows <= m.rows; rows++ {
					t := tile{listing: l, m: m, rows: rows, wide: wide, half: half}
					t.write()
					names = append(names, t.name())
				}
				d.tiles(names, m, wide, half)
			}
		}
	}
	return l.Bytes()
}

// tile is a kernel for a tile of rows x wide registers. With half, B holds
// bfloat16.
type tile struct {
	*listing
	m          machine
	rows, wide int
	half       bool
}

func (t tile) name() string {
	kind := "tile"
	if t.half {
		kind = "half"
	}
	return fmt.Sprintf("%s%s_%d_%d", kind, t.m.name, t.rows, t.wide)
}

// sum is the register of a part of C.
func (t tile) sum(row, part int) string { return t.m.reg(row*t.wide + part) }

// b is the register of a part of a row of B.
func (t tile) b(part int) string { return t.m.reg(t.m.count - 4 + part) }

// rowA is where the number of a row of A lies. Registers hold multiples of the
// distance of two rows, which is in SI.
func rowA(row int) string {
	switch row {
	case 0:
		return "(AX)"
	case 1, 2, 4, 8:
		return fmt.Sprintf("(AX)(SI*%d)", row)
	case 6:
		return "(AX)(R8*2)"
	case 10:
		return "(AX)(R9*2)"
	}
	return fmt.Sprintf("(AX)(%s*1)", map[int]string{3: "R8", 5: "R9", 7: "R10", 9: "R11", 11: "R12"}[row])
}

// multiples fills the registers that rowA names.
func (t tile) multiples() {
	for _, m := range []struct {
		above int
		what  string
	}{{3, "(SI)(SI*2), R8"}, {5, "(SI)(SI*4), R9"}, {7, "(R9)(SI*2), R10"}, {9, "(SI)(SI*8), R11"}, {11, "(R11)(SI*2), R12"}} {
		if t.rows > m.above {
			t.put("LEAQ %s", m.what)
		}
	}
}

func (t tile) write() {
	t.text(t.name(), 80)
	for _, a := range []string{"k+0(FP), CX", "a+8(FP), AX", "rowA+16(FP), SI", "colA+24(FP), DI", "b+32(FP), BX", "rowB+40(FP), DX", "c+48(FP), R13", "rowC+56(FP), R14"} {
		t.put("MOVQ %s", a)
	}
	t.multiples()
	if t.m == avx512 {
		t.put("MOVQ mask+64(FP), R15")
		t.put("KMOVW R15, K1")
		t.put("SHRQ $16, R15")
		t.put("KMOVW R15, K2")
	}
	t.begin()
	t.loop()
	t.store()
	t.end()
}

// begin sets the sums to zero, or to C.
func (t tile) begin() {
	t.put("MOVQ add+72(FP), R15")
	t.put("TESTQ R15, R15")
	t.put("JNZ load")
	for i := range t.rows * t.wide {
		t.put("VXORPS %[1]s, %[1]s, %[1]s", t.m.reg(i))
	}
	t.put("JMP begin")
	t.label("load")
	t.put("MOVQ R13, R15")
	for row := range t.rows {
		for p := range t.wide {
			if t.m == avx512 {
				t.put("VMOVUPS.Z %d(R15), K%d, %s", p*64, p+1, t.sum(row, p))
			} else {
				t.put("VMOVUPS %d(R15), %s", p*32, t.sum(row, p))
			}
		}
		if row < t.rows-1 {
			t.put("ADDQ R14, R15")
		}
	}
	t.label("begin")
}

func (t tile) loop() {
	t.put("TESTQ CX, CX")
	t.put("JZ done")
	t.label("loop")
	for p := range t.wide {
		switch {
		case t.half: // the upper half of a float32
			t.put("VPMOVZXWD %d(BX), %s", p*t.m.bytes/2, t.b(p))
			t.put("VPSLLD $16, %[1]s, %[1]s", t.b(p))
		case t.m == avx512:
			t.put("VMOVUPS.Z %d(BX), K%d, %s", p*64, p+1, t.b(p))
		default:
			t.put("VMOVUPS %d(BX), %s", p*32, t.b(p))
		}
	}
	for row := range t.rows {
		if t.wide == 1 {
			t.put("VFMADD231PS.BCST %s, %s, %s", rowA(row), t.b(0), t.sum(row, 0))
			continue
		}
		a := t.m.reg(t.m.count - 2 + row%2)
		t.put("VBROADCASTSS %s, %s", rowA(row), a)
		for p := range t.wide {
			t.put("VFMADD231PS %s, %s, %s", t.b(p), a, t.sum(row, p))
		}
	}
	t.put("ADDQ DI, AX")
	t.put("ADDQ DX, BX")
	t.put("DECQ CX")
	t.put("JNZ loop")
	t.label("done")
}

func (t tile) store() {
	for row := range t.rows {
		for p := range t.wide {
			if t.m == avx512 {
				t.put("VMOVUPS %s, K%d, %d(R13)", t.sum(row, p), p+1, p*64)
			} else {
				t.put("VMOVUPS %s, %d(R13)", t.sum(row, p), p*32)
			}
		}
		if row < t.rows-1 {
			t.put("ADDQ R14, R13")
		}
	}
}
