package kernel

import (
	"fmt"
	"unsafe"
)

// Matrix is a view of numbers: element (i, j) is Data[i*Row+j*Col].
type Matrix struct {
	Data     []float32
	Row, Col int
}

// Rows is a matrix that lies row by row, so many numbers apart.
func Rows(data []float32, apart int) Matrix { return Matrix{Data: data, Row: apart, Col: 1} }

// T is the transposed matrix.
func (m Matrix) T() Matrix { return Matrix{Data: m.Data, Row: m.Col, Col: m.Row} }

// From is the part from row i and column j on.
func (m Matrix) From(i, j int) Matrix {
	return Matrix{Data: m.Data[min(i*m.Row+j*m.Col, len(m.Data)):], Row: m.Row, Col: m.Col}
}

// at is the place of an element.
func (m Matrix) at(i, j int) unsafe.Pointer {
	return unsafe.Add(first(m.Data), 4*(i*m.Row+j*m.Col))
}

// holds panics where the matrix has not so many rows and columns: the kernels
// look at no bounds.
func (m Matrix) holds(rows, columns int) {
	if last := (rows-1)*m.Row + (columns-1)*m.Col; rows < 0 || columns < 0 || m.Row < 0 || m.Col < 0 || rows > 0 && columns > 0 && last >= len(m.Data) {
		panic(fmt.Sprintf("kernel: %d numbers are no matrix of %d by %d", len(m.Data), rows, columns))
	}
}
