package kernel

import (
	"math"
	"unsafe"
)

// PanelColumns is how many outputs a panel of a [Packed] has.
const PanelColumns = 32

// Panels are the numbers of a weight in panels of [PanelColumns] outputs, in the type
// in which they are kept.
type Panels interface {
	// Unpack writes n inputs of a panel, from one on, as float32: [n, PanelColumns].
	// Where the last panel has fewer outputs, the other numbers are finite.
	Unpack(dst []float32, panel, from, n int)
	// Tail are the panels from one on.
	Tail(panel int) Panels
	// Bytes is how much memory they take.
	Bytes() int
}

// Packed is a weight [Out, In] that products do not change: panels of 32 outputs, in
// each of which the numbers of an input lie side by side. Products unpack a part of
// a panel at a time, into a place in the nearest caches, and are the same as those
// with the unpacked weight.
type Packed struct {
	Out, In int
	// One of these is there. The kernels read the first two as they are.
	full   []float32 // [panels, In, 32]
	bfloat []uint16
	kept   Panels
}

// Pack brings a weight into panels. Where all numbers are bfloat16, it keeps them so.
func Pack(w []float32, out, in int) *Packed {
	p := &Packed{Out: out, In: in}
	n := p.Panels() * in * PanelColumns
	if isBFloat(w) {
		p.bfloat = make([]uint16, n)
	} else {
		p.full = Aligned(n)
	}
	for o := range out {
		at := o/PanelColumns*in*PanelColumns + o%PanelColumns
		for i, v := range w[o*in : (o+1)*in] {
			if p.full == nil {
				p.bfloat[at+i*PanelColumns] = uint16(math.Float32bits(v) >> 16)
			} else {
				p.full[at+i*PanelColumns] = v
			}
		}
	}
	return p
}

// PackBFloats is a weight of bfloat16, whose panels are [panels, In, 32].
func PackBFloats(panels []uint16, out, in int) *Packed {
	return &Packed{Out: out, In: in, bfloat: panels}
}

// PackPanels is a weight of any other type.
func PackPanels(panels Panels, out, in int) *Packed { return &Packed{Out: out, In: in, kept: panels} }

// isBFloat reports whether all numbers are bfloat16.
func isBFloat(w []float32) bool {
	for _, v := range w {
		if math.Float32bits(v)&0xffff != 0 {
			return false
		}
	}
	return true
}

// Panels is the number of panels.
func (p *Packed) Panels() int { return (p.Out + PanelColumns - 1) / PanelColumns }

// Bytes is how much memory the numbers take.
func (p *Packed) Bytes() int {
	if p.kept != nil {
		return p.kept.Bytes()
	}
	return 4*len(p.full) + 2*len(p.bfloat)
}

// Rows is the weight of n outputs from one on, which share its memory if that one
// begins a panel. Else they are copied.
func (p *Packed) Rows(from, n int) *Packed {
	if from%PanelColumns != 0 {
		w := make([]float32, n*p.In)
		p.Fill(new(Scratch), w, from, n)
		return Pack(w, n, p.In)
	}
	out, at := &Packed{Out: n, In: p.In}, from*p.In
	switch {
	case p.full != nil:
		out.full = p.full[at:]
	case p.bfloat != nil:
		out.bfloat = p.bfloat[at:]
	default:
		out.kept = p.kept.Tail(from / PanelColumns)
	}
	return out
}

// Row writes the weights of an output.
func (p *Packed) Row(s *Scratch, dst []float32, output int) {
	panel, column := output/PanelColumns, output%PanelColumns
	switch at := panel*p.In*PanelColumns + column; {
	case p.full != nil:
		for i := range dst {
			dst[i] = p.full[at+i*PanelColumns]
		}
	case p.bfloat != nil:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(p.bfloat[at+i*PanelColumns]) << 16)
		}
	default:
		p.Fill(s, dst, output, 1)
	}
}

// Unpacked calls f for parts of the weight, with the first output and the first input
// of each: [inputs, PanelColumns], as far as there are outputs. The part is f's until it
// returns.
func (p *Packed) Unpacked(f func(part []float32, output, input int) error) error {
	var s Scratch
	for j := range p.Panels() {
		for k := 0; k < p.In; k += unpackedRows {
			n := min(unpackedRows, p.In-k)
			s.panel = Reuse(s.panel, deepest*PanelColumns)
			p.unpack(s.panel[:n*PanelColumns], j, k, n)
			if err := f(s.panel[:n*PanelColumns], j*PanelColumns, k); err != nil {
				return err
			}
		}
	}
	return nil
}

// Fill writes the weights of n outputs from one on, as float32, row by row.
func (p *Packed) Fill(s *Scratch, dst []float32, from, n int) {
	s.panel = Reuse(s.panel, deepest*PanelColumns)
	for o := from; o < from+n; {
		panel, column := o/PanelColumns, o%PanelColumns
		columns := min(PanelColumns-column, from+n-o)
		for k := 0; k < p.In; k += unpackedRows {
			part := s.panel[:min(unpackedRows, p.In-k)*PanelColumns]
			p.unpack(part, panel, k, len(part)/PanelColumns)
			for c := range columns {
				row := dst[(o-from+c)*p.In+k:]
				for i := range len(part) / PanelColumns {
					row[i] = part[i*PanelColumns+column+c]
				}
			}
		}
		o += columns
	}
}

// unpack is that of [Panels].
func (p *Packed) unpack(dst []float32, panel, from, n int) {
	switch at := (panel*p.In + from) * PanelColumns; {
	case p.full != nil:
		copy(dst, p.full[at:at+n*PanelColumns])
	case p.bfloat != nil:
		unpackBFloat(dst, p.bfloat[at:at+n*PanelColumns])
	default:
		p.kept.Unpack(dst, panel, from, n)
	}
}

const (
	// fewRows are as many rows of A as are worth no unpacking of whole panels.
	fewRows = 24
	// unpackedRows are the inputs of a panel that are unpacked at once for them: half
	// of the cache nearest to the processor.
	unpackedRows = 128
)

// Product is C = A·Wᵀ, or C += A·Wᵀ with add, for m rows of A and the outputs of
// the panels from one to another. The columns of A and C lie side by side.
func (p *Packed) Product(s *Scratch, c, a Matrix, m, from, to int, add bool) {
	if from == to || m == 0 {
		return
	}
	a.holds(m, p.In)
	c.holds(m, p.Out)
	if m > fewRows || path == Plain {
		first := from * PanelColumns
		s.product(c.From(0, first), a, factor{packed: p, at: first}, m, min(p.Out, to*PanelColumns)-first, p.In, add)
		return
	}
	high := tileRows()
	parts := (m + high - 1) / high
	high = (m + parts - 1) / parts
	for j := from; j < to; j++ {
		n := min(PanelColumns, p.Out-j*PanelColumns)
		if p.kept == nil {
			for i := 0; i < m; i += high {
				p.asKept(s, min(high, m-i), n, j, a.at(i, 0), 4*a.Row, c.at(i, j*PanelColumns), 4*c.Row, add)
			}
			continue
		}
		t := tiling{Scratch: s, c: c.From(0, j*PanelColumns), a: a, n: n, columns: tileColumns(high), add: add}
		for k := 0; k < p.In; k += unpackedRows {
			t.k = min(unpackedRows, p.In-k)
			t.panel = Reuse(t.panel, deepest*PanelColumns)
			p.unpack(t.panel[:t.k*PanelColumns], j, k, t.k)
			for i := 0; i < m; i += high {
				for at := 0; at < n; at += t.columns {
					t.put(min(high, m-i), min(t.columns, n-at), a.at(i, k), 4*a.Row, 4, unsafe.Pointer(&t.panel[at]), 4*PanelColumns, t.c.at(i, at))
				}
			}
			t.add = true
		}
	}
}

// Back is C = A·W, or C += A·W with add, for m rows of A, which has a column for each
// output, and the columns of C, each of which is an input, from one, a multiple of
// [PanelColumns], to another. The columns of A and C lie side by side.
func (p *Packed) Back(s *Scratch, c, a Matrix, m, from, to int, add bool) {
	if from == to || m == 0 {
		return
	}
	a.holds(m, p.Out)
	c.holds(m, p.In)
	s.product(c.From(0, from), a, factor{packed: p, at: from, back: true}, m, to-from, p.Out, add)
}

// asKept makes h rows of n outputs of panel j from numbers that the kernels read as
// they are, in steps that are short enough.
func (p *Packed) asKept(s *Scratch, h, n, j int, a unsafe.Pointer, rowA int, c unsafe.Pointer, rowC int, add bool) {
	plus := 0
	if add {
		plus = 1
	}
	for k := 0; k < p.In; k += 4 * deepest {
		depth := min(4*deepest, p.In-k)
		ak := unsafe.Add(a, 4*k)
		at := (j*p.In + k) * PanelColumns
		var panel unsafe.Pointer
		tiles512, set := tiles12x32, tileSet{tiles3x32, tiles6x16, 4}
		if p.full != nil {
			panel = unsafe.Pointer(&p.full[at])
		} else {
			panel, tiles512, set = unsafe.Pointer(&p.bfloat[at]), halves12x32, tileSet{halves3x32, halves6x16, 2}
		}
		if apart := set.bytes * PanelColumns; path == AVX512 {
			tiles512[h-1](depth, ak, uintptr(rowA), 4, panel, uintptr(apart), c, uintptr(rowC), columnMask(n), plus)
		} else {
			s.across(set, h, n, depth, ak, rowA, 4, panel, apart, c, rowC, plus)
		}
		plus = 1
	}
}

// factor is B of a product: a matrix, or a weight of which a column is an output, from
// one on, or with back an input. Without back its columns begin a panel.
type factor struct {
	Matrix
	packed *Packed
	at     int
	back   bool
}

// side brings n columns of B from column j on, and the terms from k0 on, side by side for
// m rows of A.
func (t *tiling) side(k0, j, n, m int) (panel unsafe.Pointer, apart int) {
	p := t.b.packed
	switch at := t.b.at + j; {
	case p == nil:
		return t.fillPanel(t.b.From(k0, j), n, m)
	case t.b.back:
		return t.fillBack(k0, at, n)
	case p.full != nil:
		return unsafe.Pointer(&p.full[(at/PanelColumns*p.In+k0)*PanelColumns+at%PanelColumns]), 4 * PanelColumns
	default:
		t.panel = Reuse(t.panel, deepest*PanelColumns)
		if at%PanelColumns == 0 { // a tile of half the width finds the other half from before
			p.unpack(t.panel[:t.k*PanelColumns], at/PanelColumns, k0, t.k)
		}
		return unsafe.Pointer(&t.panel[at%PanelColumns]), 4 * PanelColumns
	}
}

// fillBack is side for inputs as columns: parts of panels are unpacked and turned.
func (t *tiling) fillBack(k0, from, n int) (panel unsafe.Pointer, apart int) {
	t.panel, t.turned = Reuse(t.panel, deepest*PanelColumns), Reuse(t.turned, PanelColumns*PanelColumns)
	for k := 0; k < t.k; k += PanelColumns {
		t.b.packed.unpack(t.turned[:n*PanelColumns], (k0+k)/PanelColumns, from, n)
		if path == Plain {
			for i, v := range t.turned[:n*PanelColumns] {
				t.panel[(k+i%PanelColumns)*t.columns+i/PanelColumns] = v
			}
			continue
		}
		for i := 0; i < n; i += 8 {
			transpose8(PanelColumns, unsafe.Pointer(&t.turned[i*PanelColumns]), 4*PanelColumns, unsafe.Pointer(&t.panel[k*t.columns+i]), uintptr(4*t.columns))
		}
	}
	return first(t.panel), 4 * t.columns
}
