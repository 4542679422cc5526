package main

import (
	"fmt"

	"github.com/tunebus/tunebus/llm/internal/kernel/gen/assembly"
)

// tileArguments are those of every tile, 80 bytes: the number of terms, A with
// the distances of its rows and columns, B and C with those of their rows, in
// bytes, a mask of the columns of C, and whether C is added to.
const tileArguments = "k int, a unsafe.Pointer, rowA, colA uintptr, b unsafe.Pointer, rowB uintptr, c unsafe.Pointer, rowC uintptr, mask, add int"

// stackArguments are those of a stack, 96 bytes: a tile's, how many tiles lie one under the
// other, and how far A is from one to the next.
const stackArguments = tileArguments + ", tiles int, nextA uintptr"

// stack declares what calls the stack of this machine.
func stack(d *assembly.Declarations) {
	for _, m := range assembly.Machines() {
		d.Of(m).Function("stack"+m.Name, stackArguments)
	}
	d.Choice("stack", stackArguments, "k, a, rowA, colA, b, rowB, c, rowC, mask, add, tiles, nextA")
}

// products writes the tiles of the matrix product: C (+)= A·B for a tile of C
// that stays in registers. For each k in turn, a row of B is multiplied by one
// number of each row of A.
func products(d *assembly.Declarations) []byte {
	l := assembly.NewListing()
	for _, of := range []struct {
		m          assembly.Machine
		rows, wide int
		half       bool
	}{
		{assembly.AVX512, assembly.AVX512.Rows, 1, false}, // for weights as they are; panels are 32 wide
		{assembly.AVX512, assembly.AVX512.Rows, 2, false},
		{assembly.AVX512, assembly.AVX512.Rows, 2, true},
		{assembly.AVX2, assembly.AVX2.Rows, 2, false},
		{assembly.AVX2, assembly.AVX2.Rows, 2, true},
		// Few rows have too few sums to keep the processor busy while one is added to,
		// so that they are made of more columns.
		{assembly.AVX2, flatRows, 4, false},
		{assembly.AVX2, flatRows, 4, true},
	} {
		var names []string
		for rows := 1; rows <= of.rows; rows++ {
			t := tile{Listing: l, m: of.m, rows: rows, wide: of.wide, half: of.half}
			t.write()
			names = append(names, t.name())
		}
		d.Tiles(names, tileArguments, of.m, of.wide, of.half)
	}
	for _, m := range []assembly.Machine{assembly.AVX512, assembly.AVX2} {
		tile{Listing: l, m: m, rows: m.Rows, wide: 2, stacked: true}.write()
	}
	return l.Bytes()
}

// flatRows is how many rows a tile of four registers has at most: twelve of AVX2's sixteen
// registers are sums, three hold numbers of A and one a part of a row of B.
const flatRows = 3

// tile is a kernel for a tile of rows x wide registers. With half, B holds
// bfloat16. A stacked one makes several, one under the other, in one call.
type tile struct {
	*assembly.Listing
	m             assembly.Machine
	rows, wide    int
	half, stacked bool
}

func (t tile) name() string {
	if t.stacked {
		return "stack" + t.m.Name
	}
	kind := "tile"
	if t.half {
		kind = "half"
	}
	return fmt.Sprintf("%s%s_%d_%d", kind, t.m.Name, t.rows, t.wide)
}

// sum is the register of a part of C.
func (t tile) sum(row, part int) string { return t.m.Reg(row*t.wide + part) }

// b is the register of a part of a row of B.
func (t tile) b(part int) string {
	if t.wide == 4 { // one part at a time
		return t.m.Reg(t.m.Count - 4)
	}
	return t.m.Reg(t.m.Count - 4 + part)
}

// loadB brings a part of a row of B into its register.
func (t tile) loadB(part int) {
	switch {
	case t.half: // the upper half of a float32
		t.Put("VPMOVZXWD %d(BX), %s", part*t.m.Bytes/2, t.b(part))
		t.Put("VPSLLD $16, %[1]s, %[1]s", t.b(part))
	case t.m == assembly.AVX512:
		t.Put("VMOVUPS.Z %d(BX), K%d, %s", part*64, part+1, t.b(part))
	default:
		t.Put("VMOVUPS %d(BX), %s", part*32, t.b(part))
	}
}

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
			t.Put("LEAQ %s", m.what)
		}
	}
}

func (t tile) write() {
	if t.stacked {
		t.Text(t.name(), 96)
		t.Label("tile")
	} else {
		t.Text(t.name(), 80)
	}
	for _, a := range []string{"k+0(FP), CX", "a+8(FP), AX", "rowA+16(FP), SI", "colA+24(FP), DI", "b+32(FP), BX", "rowB+40(FP), DX", "c+48(FP), R13", "rowC+56(FP), R14"} {
		t.Put("MOVQ %s", a)
	}
	t.multiples()
	if t.m == assembly.AVX512 {
		t.Put("MOVQ mask+64(FP), R15")
		t.Put("KMOVW R15, K1")
		t.Put("SHRQ $16, R15")
		t.Put("KMOVW R15, K2")
	}
	t.begin()
	t.loop()
	t.store()
	if t.stacked {
		t.Put("ADDQ R14, R13")
		t.Put("MOVQ R13, c+48(FP)")
		t.Put("MOVQ nextA+88(FP), R15")
		t.Put("ADDQ R15, a+8(FP)")
		t.Put("DECQ tiles+80(FP)")
		t.Put("JNZ tile")
	}
	t.End()
}

// begin sets the sums to zero, or to C.
func (t tile) begin() {
	t.Put("MOVQ add+72(FP), R15")
	t.Put("TESTQ R15, R15")
	t.Put("JNZ load")
	for i := range t.rows * t.wide {
		t.Put("VXORPS %[1]s, %[1]s, %[1]s", t.m.Reg(i))
	}
	t.Put("JMP begin")
	t.Label("load")
	t.Put("MOVQ R13, R15")
	for row := range t.rows {
		for p := range t.wide {
			if t.m == assembly.AVX512 {
				t.Put("VMOVUPS.Z %d(R15), K%d, %s", p*64, p+1, t.sum(row, p))
			} else {
				t.Put("VMOVUPS %d(R15), %s", p*32, t.sum(row, p))
			}
		}
		if row < t.rows-1 {
			t.Put("ADDQ R14, R15")
		}
	}
	t.Label("begin")
}

func (t tile) loop() {
	t.Put("TESTQ CX, CX")
	t.Put("JZ done")
	t.Label("loop")
	if t.wide == 4 {
		t.flatTerm()
	} else {
		t.term()
	}
	t.Put("ADDQ DI, AX")
	t.Put("ADDQ DX, BX")
	t.Put("DECQ CX")
	t.Put("JNZ loop")
	t.Label("done")
}

// term adds one term of each sum.
func (t tile) term() {
	for p := range t.wide {
		t.loadB(p)
	}
	for row := range t.rows {
		if t.wide == 1 {
			t.Put("VFMADD231PS.BCST %s, %s, %s", rowA(row), t.b(0), t.sum(row, 0))
			continue
		}
		a := t.m.Reg(t.m.Count - 2 + row%2)
		t.Put("VBROADCASTSS %s, %s", rowA(row), a)
		for p := range t.wide {
			t.Put("VFMADD231PS %s, %s, %s", t.b(p), a, t.sum(row, p))
		}
	}
}

// flatTerm is term for four registers in a row.
func (t tile) flatTerm() {
	a := func(row int) string { return t.m.Reg(t.m.Count - flatRows + row) }
	for row := range t.rows {
		t.Put("VBROADCASTSS %s, %s", rowA(row), a(row))
	}
	for p := range t.wide {
		t.loadB(p)
		for row := range t.rows {
			t.Put("VFMADD231PS %s, %s, %s", t.b(p), a(row), t.sum(row, p))
		}
	}
}

func (t tile) store() {
	for row := range t.rows {
		for p := range t.wide {
			if t.m == assembly.AVX512 {
				t.Put("VMOVUPS %s, K%d, %d(R13)", t.sum(row, p), p+1, p*64)
			} else {
				t.Put("VMOVUPS %s, %d(R13)", t.sum(row, p), p*32)
			}
		}
		if row < t.rows-1 {
			t.Put("ADDQ R14, R13")
		}
	}
}
