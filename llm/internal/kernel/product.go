package kernel

import "unsafe"

// tileFunc is a kernel for a tile of a product; its arguments are those of the
// generated ones.
type tileFunc = func(k int, a unsafe.Pointer, rowA, colA uintptr, b unsafe.Pointer, rowB uintptr, c unsafe.Pointer, rowC uintptr, mask, add int)

// Scratch is what products need to bring their operands side by side. Each
// goroutine has one of its own. The zero value is ready to use.
type Scratch struct {
	panel  []float32 // columns of B
	turned []float32 // a part of them, as it is kept
	strip  []float32 // rows of A
	tile   [6 * 16]float32
}

// Aligned is a slice of n numbers that starts at a cache line.
func Aligned(n int) []float32 {
	x := make([]float32, n+15)
	at := 0
	for uintptr(unsafe.Pointer(&x[at]))%64 != 0 {
		at++
	}
	return x[at : at+n]
}

// Reuse is a slice of n numbers, old where that is large enough. What it holds is
// undefined.
func Reuse(old []float32, n int) []float32 {
	if cap(old) >= n {
		return old[:n]
	}
	return Aligned(n)
}

// The number of terms that are added in one go: a panel of B then stays in the
// caches nearest to the processor, beside rows of A as they are, or beside strips.
const (
	deepest      = 512
	deepestStrip = 256
	// tallest is the largest number of rows of a tile.
	tallest = 12
	// block is how many numbers of strips there are at once.
	block = 192 * 1024
)

// strips is how many numbers the strips of so many rows of A have at most.
func strips(rows int) int { return min(block, rows*deepestStrip) + tallest*deepestStrip }

// Reserve makes room for products with so many rows of A at most, so that it is not made
// anew for each that is a little larger than those before.
func (s *Scratch) Reserve(rows int) {
	s.panel, s.turned, s.strip = Reuse(s.panel, deepest*PanelColumns), Reuse(s.turned, PanelColumns*PanelColumns), Reuse(s.strip, strips(rows))
}

// ScratchBytes is how much memory a Scratch takes after Reserve.
func ScratchBytes(rows int) int {
	const number = 4
	return number * (deepest*PanelColumns + PanelColumns*PanelColumns + strips(rows))
}

// Product is C = A·B, or C += A·B with add, for A of m rows and k columns, B of
// k rows and n columns, and C whose columns lie side by side.
func (s *Scratch) Product(c, a, b Matrix, m, n, k int, add bool) {
	a.holds(m, k)
	b.holds(k, n)
	c.holds(m, n)
	s.product(c, a, factor{Matrix: b}, m, n, k, add)
}

// product is Product for any B.
func (s *Scratch) product(c, a Matrix, b factor, m, n, k int, add bool) {
	if c.Col != 1 && n > 1 {
		panic("kernel: the columns of a product lie apart")
	}
	if k == 0 && !add {
		for i := range m {
			clear(c.Data[i*c.Row : i*c.Row+n])
		}
	}
	if path == Plain && b.packed == nil {
		plainProduct(c, a, b.Matrix, m, n, k, add)
		return
	}
	columns := tileColumns(m)
	rows := tileRows()
	strips := a.Col != 1 && m > rows && path != Plain // rows of A whose numbers lie apart
	step := deepest
	if strips {
		step = deepestStrip
	}
	for k0 := 0; k0 < k; k0 += step {
		depth := min(step, k-k0)
		t := tiling{Scratch: s, c: c, a: a.From(0, k0), b: b, n: n, k: depth, columns: columns, add: add || k0 > 0}
		if path == Plain {
			t.plain(k0, m)
			continue
		}
		most := max(rows, block/depth/rows*rows)
		for i := 0; i < m; i += most {
			t.rows(k0, i, min(most, m-i), strips)
		}
	}
}

// tiling is a part of a product, of so many terms that one tile adds them all.
type tiling struct {
	*Scratch
	c, a    Matrix
	b       factor
	n, k    int
	columns int // of a tile
	add     bool
}

// rows makes m rows of C, from row i on, of the terms from k0 on.
func (t *tiling) rows(k0, i, m int, strips bool) {
	high := tileRows()
	parts := (m + high - 1) / high
	high = (m + parts - 1) / parts // tiles of about one height
	if strips {
		t.fillStrip(i, m, high)
	}
	for j := 0; j < t.n; j += t.columns {
		n := min(t.columns, t.n-j)
		panel, apart := t.side(k0, j, n, m)
		for r := 0; r < m; {
			h, tiles := min(high, m-r), t.tiles(high, n, m-r)
			a, rowA, colA, nextA := t.a.at(i+r, 0), 4*t.a.Row, 4*t.a.Col, 4*t.a.Row*high
			if strips {
				a, rowA, colA, nextA = unsafe.Pointer(&t.strip[r*t.k]), 4, 4*high, 4*high*t.k
			}
			if tiles > 1 {
				stackVector(t.k, a, uintptr(rowA), uintptr(colA), panel, uintptr(apart), t.c.at(i+r, j), uintptr(4*t.c.Row), columnMask(n), t.plus(), tiles, uintptr(nextA))
			} else {
				t.put(h, n, a, rowA, colA, panel, apart, t.c.at(i+r, j))
			}
			r += tiles * h
		}
	}
}

// stackTerms is how many terms a call adds at most for the rows of its tiles: some
// microseconds.
const stackTerms = 2048

// tiles is how many whole tiles of n columns one call makes of m rows, at least one.
func (t *tiling) tiles(high, n, m int) int {
	if high != tileRows() || n != t.columns && (path != AVX512 || n <= 16) {
		return 1
	}
	return max(1, min(m/high, stackTerms/t.k))
}

// plus is 1 where C is added to.
func (t *tiling) plus() int {
	if t.add {
		return 1
	}
	return 0
}

// put computes a tile of h rows and n columns.
func (t *tiling) put(h, n int, a unsafe.Pointer, rowA, colA int, panel unsafe.Pointer, apart int, c unsafe.Pointer) {
	add := t.plus()
	if path == AVX512 {
		tiles := tiles12x16
		if n > 16 {
			tiles = tiles12x32
		}
		tiles[h-1](t.k, a, uintptr(rowA), uintptr(colA), panel, uintptr(apart), c, uintptr(4*t.c.Row), columnMask(n), add)
		return
	}
	t.across(tileSet{tiles3x32, tiles6x16, 4}, h, n, t.k, a, rowA, colA, panel, apart, c, 4*t.c.Row, add)
}

// tileSet are the kernels of AVX2 or Neon for a B whose numbers have so many bytes.
type tileSet struct {
	flat, narrow []tileFunc
	bytes        int
}

// across computes a tile of h rows and n columns, 32 at most, with the kernels of AVX2 or
// Neon.
func (s *Scratch) across(set tileSet, h, n, k int, a unsafe.Pointer, rowA, colA int, panel unsafe.Pointer, apart int, c unsafe.Pointer, rowC, add int) {
	if path == AVX2 && h <= len(set.flat) && n == 32 {
		set.flat[h-1](k, a, uintptr(rowA), uintptr(colA), panel, uintptr(apart), c, uintptr(rowC), 0, add)
		return
	}
	for at := 0; at < n; at += 16 {
		s.narrow(set.narrow[h-1], h, min(16, n-at), k, a, rowA, colA, unsafe.Add(panel, set.bytes*at), apart, unsafe.Add(c, 4*at), rowC, add)
	}
}

// columnMask has a bit for each of n columns.
func columnMask(n int) int { return int(uint64(1)<<n - 1) }

// narrow runs a kernel of AVX2 or Neon, which writes sixteen columns. Where there are
// fewer, they are brought to a place with room.
func (s *Scratch) narrow(tile tileFunc, h, n, k int, a unsafe.Pointer, rowA, colA int, panel unsafe.Pointer, apart int, c unsafe.Pointer, rowC, add int) {
	if n == 16 {
		tile(k, a, uintptr(rowA), uintptr(colA), panel, uintptr(apart), c, uintptr(rowC), 0, add)
		return
	}
	for i := range h {
		copy(s.tile[16*i:], unsafe.Slice((*float32)(unsafe.Add(c, rowC*i)), n))
	}
	tile(k, a, uintptr(rowA), uintptr(colA), panel, uintptr(apart), unsafe.Pointer(&s.tile), 64, 0, add)
	for i := range h {
		copy(unsafe.Slice((*float32)(unsafe.Add(c, rowC*i)), n), s.tile[16*i:])
	}
}

// fillStrip copies m rows of A from row i on, whose numbers lie apart, into
// strips of so many rows.
func (t *tiling) fillStrip(i, m, high int) {
	t.strip = Reuse(t.strip, (m+high-1)/high*high*t.k)
	for r := 0; r < m; r += high {
		h := min(high, m-r)
		dst := t.strip[r*t.k:]
		switch src, apart := t.a.at(i+r, 0), uintptr(4*t.a.Col); {
		case t.a.Row == 1 && h == 12 && high == 12:
			copy12(t.k, src, apart, first(dst))
		case t.a.Row == 1 && h == 6 && high == 6:
			copy6(t.k, src, apart, first(dst))
		default:
			for k := range t.k {
				for q := range h {
					dst[k*high+q] = t.a.Data[(i+r+q)*t.a.Row+k*t.a.Col]
				}
			}
		}
	}
}

// fillPanel brings n columns of B side by side for m rows of A, or leaves them
// where they are: near enough, or for too few rows to be worth it.
func (t *tiling) fillPanel(b Matrix, n, m int) (panel unsafe.Pointer, apart int) {
	if b.Col == 1 && (n%16 == 0 || path == AVX512) && (b.Row <= 64 || m <= 24) {
		return first(b.Data), 4 * b.Row
	}
	t.panel = Reuse(t.panel, deepest*32)
	panel, apart = first(t.panel), 4*t.columns
	switch {
	case b.Col == 1 && n == 32:
		copy32(t.k, first(b.Data), uintptr(4*b.Row), panel)
	case b.Col == 1 && n == 16 && t.columns == 16:
		copy16(t.k, first(b.Data), uintptr(4*b.Row), panel)
	case b.Col == 1:
		for k := range t.k {
			copy(t.panel[k*t.columns:k*t.columns+n], b.Data[k*b.Row:])
		}
	default:
		t.fillAcross(b, n)
	}
	return panel, apart
}

// fillAcross is fillPanel for columns whose numbers lie side by side.
func (t *tiling) fillAcross(b Matrix, n int) {
	j := 0
	for whole := t.k &^ 7; b.Row == 1 && j+8 <= n; j += 8 {
		transpose8(whole, b.at(0, j), uintptr(4*b.Col), unsafe.Pointer(&t.panel[j]), uintptr(4*t.columns))
		for k := whole; k < t.k; k++ {
			for x := range 8 {
				t.panel[k*t.columns+j+x] = b.Data[k+(j+x)*b.Col]
			}
		}
	}
	for ; j < n; j++ {
		for k := range t.k {
			t.panel[k*t.columns+j] = b.Data[k*b.Row+j*b.Col]
		}
	}
}

// plain adds the terms from k0 on of a B that is unpacked.
func (t *tiling) plain(k0, m int) {
	for j := 0; j < t.n; j += t.columns {
		n := min(t.columns, t.n-j)
		panel, apart := t.side(k0, j, n, m)
		plainProduct(t.c.From(0, j), t.a, Rows(unsafe.Slice((*float32)(panel), (t.k-1)*apart/4+n), apart/4), m, n, t.k, t.add)
	}
}

// plainProduct is the definition of a product.
func plainProduct(c, a, b Matrix, m, n, k int, add bool) {
	for i := range m {
		row := c.Data[i*c.Row:]
		if !add {
			clear(row[:n])
		}
		for p := range k {
			x := a.Data[i*a.Row+p*a.Col]
			for j := range n {
				row[j] = fma(x, b.Data[p*b.Row+j*b.Col], row[j])
			}
		}
	}
}
