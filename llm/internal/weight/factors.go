package weight

import "github.com/tunebus/tunebus/llm/internal/kernel"

// Rounding is the type to which what is unpacked is rounded.
type Rounding int

// The types.
const (
	ToFloat32 Rounding = iota // as it is
	ToBFloat16
	ToFloat16
)

func (r Rounding) round(x []float32) {
	switch r {
	case ToBFloat16:
		kernel.RoundBFloat(x)
	case ToFloat16:
		kernel.RoundHalf(x)
	}
}

// Nested are factors of blocks that are indices of a table themselves
// (double quantisation, Dettmers et al. 2023): block i has the factor
// Table[Codes[i]]·Factors[i/Block] + Offset, with a rounding behind each of the two
// operations.
type Nested struct {
	Codes   []byte
	Table   *[256]float32
	Factors []float32
	Block   int
	Offset  float32
}

// Of is the factor of a block.
func (n Nested) Of(block int) float32 { return n.value(n.Codes[block], block) }

func (n Nested) value(code byte, block int) float32 {
	return float32(n.Table[code]*n.Factors[block/n.Block]) + n.Offset
}

// factors are those of the groups of inputs of each output. A group may be a part of a
// block of the weight, row by row, whose factor it has.
type factors struct {
	out, in int
	first   int // output of the weight that panel 0 begins with
	group   int // inputs
	block   int // numbers
	plain   []float32
	codes   []byte // [panels, groups, 32], in place of plain
	nested  Nested // without its codes
}

// newFactors are factors whose values are not set yet.
func newFactors(out, in, block int, nested *Nested) factors {
	f := factors{out: out, in: in, block: block, group: divisor(in, block)}
	n := padded(out) * (in / f.group)
	if nested == nil {
		f.plain = make([]float32, n)
		return f
	}
	f.nested, f.codes = *nested, make([]byte, n)
	f.nested.Codes = nil
	return f
}

// divisor is the largest that both have.
func divisor(a, b int) int {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// set distributes the factors of blocks, or the indices of those.
func (f *factors) set(values []float32, codes []byte) {
	groups := f.in / f.group
	for o := range f.out {
		for g := range groups {
			at := (o/kernel.PanelColumns*groups+g)*kernel.PanelColumns + o%kernel.PanelColumns
			if block := (o*f.in + g*f.group) / f.block; f.codes == nil {
				f.plain[at] = values[block]
			} else {
				f.codes[at] = codes[block]
			}
		}
	}
}

// of are the factors of a group of a panel, in buffer where they have to be computed.
func (f *factors) of(buffer *kernel.Factors, panel, group int) *kernel.Factors {
	const n = kernel.PanelColumns
	groups := f.in / f.group
	at := (panel*groups + group) * n
	if f.codes == nil {
		return (*kernel.Factors)(f.plain[at : at+n])
	}
	clear(buffer[:])
	o := f.first + panel*n
	codes := f.codes[at : at+min(n, f.out-o)]
	if f.group != f.block { // blocks go across rows
		for i, code := range codes {
			buffer[i] = f.nested.value(code, ((o+i)*f.in+group*f.group)/f.block)
		}
		return buffer
	}
	// The block of the next output is so many further, and that of its factor too: to
	// divide once for each would take longer than all the rest.
	block := o*groups + group
	factor, rest := block/f.nested.Block, block%f.nested.Block
	further, more := groups/f.nested.Block, groups%f.nested.Block
	for i, code := range codes {
		buffer[i] = float32(f.nested.Table[code]*f.nested.Factors[factor]) + f.nested.Offset
		factor, rest = factor+further, rest+more
		if rest >= f.nested.Block {
			factor, rest = factor+1, rest-f.nested.Block
		}
	}
	return buffer
}

// tail are the factors of the panels from one on.
func (f factors) tail(panel int) factors {
	at := panel * (f.in / f.group) * kernel.PanelColumns
	f.first += panel * kernel.PanelColumns
	if f.codes == nil {
		f.plain = f.plain[at:]
	} else {
		f.codes = f.codes[at:]
	}
	return f
}

func (f *factors) bytes() int { return 4*len(f.plain) + len(f.codes) + 4*len(f.nested.Factors) }
