package weight

import "github.com/tunebus/tunebus/llm/internal/kernel"

// Bytes are weights of eight bits: whole numbers, each multiplied by the factor of its
// group of inputs, and rounded.
type Bytes struct {
	codes    []int8 // [panels, in, 32]
	factors  factors
	rounding Rounding
}

// NewBytes makes a weight whose numbers are not set yet. group is how many inputs have
// one factor, a divisor of in, or in itself.
func NewBytes(out, in, group int, r Rounding) *Bytes {
	panels := (out + kernel.PanelColumns - 1) / kernel.PanelColumns
	return &Bytes{codes: make([]int8, panels*in*kernel.PanelColumns), factors: newFactors(out, in, group, nil), rounding: r}
}

// SetFactors sets the factors of all groups, row by row.
func (b *Bytes) SetFactors(values []float32) { b.factors.set(values, nil) }

// SetRow sets the numbers of an output.
func (b *Bytes) SetRow(output int, codes []int8) {
	at := output/kernel.PanelColumns*b.factors.in*kernel.PanelColumns + output%kernel.PanelColumns
	for i, c := range codes {
		b.codes[at+i*kernel.PanelColumns] = c
	}
}

// Unpack implements [kernel.Panels].
func (b *Bytes) Unpack(dst []float32, panel, from, rows int) {
	const width = kernel.PanelColumns
	var buffer kernel.Factors
	f := &b.factors
	for done := 0; done < rows; {
		group := (from + done) / f.group
		part := min(rows-done, (group+1)*f.group-from-done)
		at := (panel*f.in + from + done) * width
		kernel.UnpackBytes(dst[done*width:(done+part)*width], b.codes[at:at+part*width], f.of(&buffer, panel, group))
		done += part
	}
	b.rounding.round(dst)
}

// Tail implements [kernel.Panels].
func (b *Bytes) Tail(panel int) kernel.Panels {
	out := *b
	out.codes, out.factors = b.codes[panel*b.factors.in*kernel.PanelColumns:], b.factors.tail(panel)
	return &out
}

// Bytes implements [kernel.Panels].
func (b *Bytes) Bytes() int { return len(b.codes) + b.factors.bytes() }
