package weight

import "github.com/tunebus/tunebus/llm/internal/kernel"

// Nibbles are weights of four bits: number i of the weight, row by row, is
// table[code]·factor of block i/block, rounded. nf4 is one such table, and so are whole
// numbers from -8 to 7.
type Nibbles struct {
	codes    []byte // [panels, in, 16], see kernel.UnpackNibbles
	table    [16]float32
	factors  factors
	rounding Rounding
}

// NewNibbles makes a weight whose codes are not set yet. nested is nil where the factors
// are numbers.
func NewNibbles(out, in, block int, table [16]float32, nested *Nested, r Rounding) *Nibbles {
	panels := (out + kernel.PanelColumns - 1) / kernel.PanelColumns
	n := &Nibbles{codes: make([]byte, panels*in*kernel.PanelColumns/2), table: table, factors: newFactors(out, in, block, nested), rounding: r}
	if nested != nil {
		n.factors.set(nil, nested.Codes)
	}
	return n
}

// SetFactors sets the factors of all blocks.
func (n *Nibbles) SetFactors(values []float32) { n.factors.set(values, nil) }

// Set sets codes from number at of the weight on, an even one: two in a byte, the first
// one in the upper bits.
func (n *Nibbles) Set(at int, codes []byte) {
	in := n.factors.in
	o, i := at/in, at%in
	for _, b := range codes {
		for _, code := range [2]byte{b >> 4, b & 15} {
			if o == n.factors.out { // an odd number of weights
				return
			}
			column := o % kernel.PanelColumns
			n.codes[(o/kernel.PanelColumns*in+i)*kernel.PanelColumns/2+column%16] |= code << (column / 16 * 4)
			if i++; i == in {
				o, i = o+1, 0
			}
		}
	}
}

// Unpack implements [kernel.Panels].
func (n *Nibbles) Unpack(dst []float32, panel, from, rows int) {
	const width = kernel.PanelColumns / 2
	var buffer kernel.Factors
	f := &n.factors
	for done := 0; done < rows; {
		group := (from + done) / f.group
		part := min(rows-done, (group+1)*f.group-from-done)
		at := (panel*f.in + from + done) * width
		kernel.UnpackNibbles(dst[done*2*width:(done+part)*2*width], n.codes[at:at+part*width], &n.table, f.of(&buffer, panel, group))
		done += part
	}
	n.rounding.round(dst)
}

// Tail implements [kernel.Panels].
func (n *Nibbles) Tail(panel int) kernel.Panels {
	out := *n
	out.codes, out.factors = n.codes[panel*n.factors.in*kernel.PanelColumns/2:], n.factors.tail(panel)
	return &out
}

// Bytes implements [kernel.Panels].
func (n *Nibbles) Bytes() int { return len(n.codes) + n.factors.bytes() }
