// Package snapshot writes what a training needs to go on, and reads it into the place
// that it came from.
package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/safetensors"
)

// Tensor is a part of a snapshot: numbers, or bytes where there are no numbers.
type Tensor struct {
	Name    string
	Shape   []int
	Numbers []float32
	Bytes   []byte
}

// The type of bytes in a file.
const kindBytes = "U8"

func (t Tensor) stored() safetensors.Tensor {
	if t.Bytes != nil {
		return safetensors.Tensor{Name: t.Name, DType: kindBytes, Shape: t.Shape, Bytes: int64(len(t.Bytes))}
	}
	return safetensors.Tensor{Name: t.Name, DType: safetensors.F32, Shape: t.Shape}.As(safetensors.F32)
}

// Write writes a file. An error names it.
func Write(path string, tensors []Tensor) error {
	sorted := slices.SortedFunc(slices.Values(tensors), func(a, b Tensor) int { return strings.Compare(a.Name, b.Name) })
	var stored []safetensors.Tensor
	for _, t := range sorted {
		stored = append(stored, t.stored())
	}
	w, err := safetensors.Create(path, stored)
	if err != nil {
		return err
	}
	w.TakeAny() // of a training that goes astray, which its next step says
	for _, t := range sorted {
		if t.Bytes != nil {
			err = w.Copy(bytes.NewReader(t.Bytes))
		} else {
			err = w.Write(t.Numbers)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("write %s: %w", path, err), w.Close())
		}
	}
	return w.Close()
}

// TensorError says which tensor of a file does not fit.
type TensorError struct {
	Tensor string
	Err    error
}

func (e *TensorError) Error() string { return fmt.Sprintf("tensor %s: %v", e.Tensor, e.Err) }

// Unwrap returns the cause.
func (e *TensorError) Unwrap() error { return e.Err }

// ErrMissing says that a file does not have a tensor.
var ErrMissing = errors.New("is missing")

// Check returns the error of a file that does not have these tensors and no others. It
// reads no values. An error is a [*TensorError], or that of the file.
func Check(path string, want []Tensor) (err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	missing := map[string]safetensors.Tensor{}
	for _, t := range want {
		missing[t.Name] = t.stored()
	}
	for _, has := range f.Tensors() {
		t, ok := missing[has.Name]
		switch {
		case !ok:
			return &TensorError{has.Name, errors.New("nothing of this name is learned here")}
		case !slices.Equal(has.Shape, t.Shape):
			return &TensorError{has.Name, fmt.Errorf("its shape is %v, here it is %v", has.Shape, t.Shape)}
		case has.DType != t.DType || has.Bytes != t.Bytes:
			return &TensorError{has.Name, fmt.Errorf("its type is %s, here it is %s", has.DType, t.DType)}
		}
		delete(missing, has.Name)
	}
	for name := range missing {
		return &TensorError{name, ErrMissing}
	}
	return nil
}

// Read fills the tensors from a file that [Check] found right. A number that is none is
// an error.
func Read(path string, into []Tensor) (err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range into {
		has, ok := f.Find(t.Name)
		if !ok {
			return &TensorError{t.Name, ErrMissing}
		}
		if err := t.read(f, has); err != nil {
			return &TensorError{t.Name, err}
		}
	}
	return nil
}

func (t Tensor) read(f *safetensors.File, has safetensors.Tensor) error {
	if t.Bytes != nil {
		raw, err := f.Raw(has)
		if err == nil {
			_, err = io.ReadFull(raw, t.Bytes)
		}
		return err
	}
	values, err := f.Values(has)
	if err != nil {
		return err
	}
	if err := values.Read(t.Numbers); err != nil {
		return err
	}
	for i, v := range t.Numbers {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("value %d of %d is %v", i+1, len(t.Numbers), v)
		}
	}
	return nil
}
