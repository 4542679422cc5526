package weight

import "github.com/tunebus/tunebus/llm/internal/kernel"

// halves are weights of float16.
type halves struct {
	in   int
	bits []uint16 // [panels, in, 32]
}

// Sixteen is a weight of sixteen bits while its rows are read.
type Sixteen struct {
	out, in int
	bits    []uint16
}

// NewSixteen makes a weight whose rows are not set yet.
func NewSixteen(out, in int) *Sixteen {
	panels := (out + kernel.PanelColumns - 1) / kernel.PanelColumns
	return &Sixteen{out: out, in: in, bits: make([]uint16, panels*in*kernel.PanelColumns)}
}

// SetRow sets the weights of an output, in their bits.
func (s *Sixteen) SetRow(output int, bits []uint16) {
	at := output/kernel.PanelColumns*s.in*kernel.PanelColumns + output%kernel.PanelColumns
	for i, b := range bits {
		s.bits[at+i*kernel.PanelColumns] = b
	}
}

// BFloat16 is the weight, if its bits are those of bfloat16.
func (s *Sixteen) BFloat16() *kernel.Packed { return kernel.PackBFloats(s.bits, s.out, s.in) }

// Float16 is the weight, if its bits are those of float16.
func (s *Sixteen) Float16() *kernel.Packed {
	return kernel.PackPanels(&halves{s.in, s.bits}, s.out, s.in)
}

// Unpack implements [kernel.Panels].
func (h *halves) Unpack(dst []float32, panel, from, rows int) {
	at := (panel*h.in + from) * kernel.PanelColumns
	kernel.UnpackHalf(dst, h.bits[at:at+rows*kernel.PanelColumns])
}

// Tail implements [kernel.Panels].
func (h *halves) Tail(panel int) kernel.Panels {
	return &halves{h.in, h.bits[panel*h.in*kernel.PanelColumns:]}
}

// Bytes implements [kernel.Panels].
func (h *halves) Bytes() int { return 2 * len(h.bits) }
