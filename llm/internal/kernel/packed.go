package kernel

import (
	"math"
	"unsafe"
)

// PanelColumns is how many outputs a panel of a [Packed] has.
const PanelColumns = 32

// Packed is a weight [Out, In] for products X·Wᵀ with few rows, as generation
// makes them: panels of 32 outputs, in each of which the numbers lie as they
// are read. Where all of them are bfloat16, it keeps them so; the products are
// the same.
type Packed struct {
	Out, In int
	full    []float32 // [panels, In, 32]
	half    []uint16
}

// Pack brings a weight into panels.
func Pack(w []float32, out, in int) *Packed {
	p := &Packed{Out: out, In: in}
	n := p.Panels() * in * PanelColumns
	if isHalf(w) {
		p.half = make([]uint16, n)
	} else {
		p.full = Aligned(n)
	}
	for o := range out {
		at := o/PanelColumns*in*PanelColumns + o%PanelColumns
		for i, v := range w[o*in : (o+1)*in] {
			if p.full == nil {
				p.half[at+i*PanelColumns] = uint16(math.Float32bits(v) >> 16)
			} else {
				p.full[at+i*PanelColumns] = v
			}
		}
	}
	return p
}

// isHalf reports whether all numbers are bfloat16.
func isHalf(w []float32) bool {
	for _, v := range w {
		if math.Float32bits(v)&0xffff != 0 {
			return false
		}
	}
	return true
}

// Panels is the number of panels.
func (p *Packed) Panels() int { return (p.Out + PanelColumns - 1) / PanelColumns }

// Product is C = A·Wᵀ, or C += A·Wᵀ with add, for m rows of A and the outputs of
// the panels from one to another. The rows of A and C lie side by side.
func (p *Packed) Product(s *Scratch, c, a Matrix, m, from, to int, add bool) {
	a.holds(m, p.In)
	c.holds(m, p.Out)
	for j := from; j < to; j++ {
		n := min(PanelColumns, p.Out-j*PanelColumns)
		if path == Plain {
			p.plain(c.From(0, j*PanelColumns), a, m, n, j, add)
			continue
		}
		high := 12
		if path == AVX2 {
			high = 6
		}
		parts := (m + high - 1) / high
		high = (m + parts - 1) / max(parts, 1)
		for i := 0; i < m; i += high {
			p.tile(s, min(high, m-i), n, j, a.at(i, 0), 4*a.Row, c.at(i, j*PanelColumns), 4*c.Row, add)
		}
	}
}

// tile makes h rows of n outputs of panel j, in steps that are short enough.
func (p *Packed) tile(s *Scratch, h, n, j int, a unsafe.Pointer, rowA int, c unsafe.Pointer, rowC int, add bool) {
	plus := 0
	if add {
		plus = 1
	}
	for k := 0; k < p.In; k += 4 * deepest {
		depth := min(4*deepest, p.In-k)
		ak := unsafe.Add(a, 4*k)
		at := (j*p.In + k) * PanelColumns
		for from := 0; from < n; from += 16 {
			var panel unsafe.Pointer
			apart := 4 * PanelColumns
			tiles512, tiles256 := tiles512x32, tiles256x16
			if p.full != nil {
				panel = unsafe.Pointer(&p.full[at+from])
			} else {
				panel, apart = unsafe.Pointer(&p.half[at+from]), 2*PanelColumns
				tiles512, tiles256 = halves512x32, halves256x16
			}
			if path == AVX512 {
				tiles512[h-1](depth, ak, uintptr(rowA), 4, panel, uintptr(apart), c, uintptr(rowC), columnMask(n), plus)
				break
			}
			s.tile256(tiles256[h-1], h, min(16, n-from), depth, ak, rowA, 4, panel, apart, unsafe.Add(c, 4*from), rowC, plus)
		}
		plus = 1
	}
}

// plain is the definition of a product with n outputs of panel j.
func (p *Packed) plain(c, a Matrix, m, n, j int, add bool) {
	for i := range m {
		row := c.Data[i*c.Row:]
		if !add {
			clear(row[:n])
		}
		for k := range p.In {
			at := (j*p.In + k) * PanelColumns
			for o := range n {
				var w float32
				if p.full != nil {
					w = p.full[at+o]
				} else {
					w = math.Float32frombits(uint32(p.half[at+o]) << 16)
				}
				row[o] = fma(a.Data[i*a.Row+k], w, row[o])
			}
		}
	}
}
