package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// Weight is a matrix or a vector. Without Grad it is frozen, without Data and Kept the
// network does not have it.
type Weight struct {
	Data, Grad []float32
	// Kept is a frozen matrix in the type in which it is kept, in place of Data.
	Kept *kernel.Packed
}

// rows are n rows of a weight, from one on.
func (w Weight) rows(from, n, width int) Weight {
	if w.Data != nil {
		w.Data = w.Data[from*width : (from+n)*width]
	}
	if w.Grad != nil {
		w.Grad = w.Grad[from*width : (from+n)*width]
	}
	if w.Kept != nil {
		w.Kept = w.Kept.Rows(from, n)
	}
	return w
}

// row copies a row.
func (w Weight) row(s *kernel.Scratch, dst []float32, i int) {
	if w.Kept != nil {
		w.Kept.Row(s, dst, i)
		return
	}
	copy(dst, w.Data[i*len(dst):])
}

// product computes c (+)= a·Wᵀ for m rows, and for the outputs from one, a multiple of
// kernel.PanelColumns, to another of a weight with so many inputs.
func (w Weight) product(s *kernel.Scratch, c, a kernel.Matrix, m, from, to, in int, add bool) {
	if w.Kept != nil {
		w.Kept.Product(s, c, a, m, from/kernel.PanelColumns, (to+kernel.PanelColumns-1)/kernel.PanelColumns, add)
		return
	}
	s.Product(c.From(0, from), a, kernel.Rows(w.Data, in).From(from, 0).T(), m, to-from, in, add)
}

// back computes c (+)= a·W for m rows, and for the inputs from one, a multiple of
// kernel.PanelColumns, to another of a weight of the shape [out, in].
func (w Weight) back(s *kernel.Scratch, c, a kernel.Matrix, m, from, to, out, in int, add bool) {
	if w.Kept != nil {
		w.Kept.Back(s, c, a, m, from, to, add)
		return
	}
	s.Product(c.From(0, from), a, kernel.Rows(w.Data, in).From(0, from), m, to-from, out, add)
}

// packed is the weight, of the shape [out, in], as a Decoder reads it.
func (w Weight) packed(out, in int) *kernel.Packed {
	if w.Kept != nil {
		return w.Kept
	}
	return kernel.Pack(w.Data, out, in)
}
