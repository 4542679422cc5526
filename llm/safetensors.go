package llm

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/nf4"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// CheckpointError says which tensor of which file cannot be used.
type CheckpointError struct {
	File, Tensor string
	Err          error
}

func (e *CheckpointError) Error() string {
	if e.Tensor == "" {
		return fmt.Sprintf("checkpoint %s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("checkpoint %s: tensor %s: %v", e.File, e.Tensor, e.Err)
}

// Unwrap returns the cause.
func (e *CheckpointError) Unwrap() error { return e.Err }

var errMissing = errors.New("is missing")

// openTensors opens a file of weights.
func openTensors(path string) (*safetensors.File, error) {
	f, err := safetensors.Open(path)
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if err != nil {
		return nil, &CheckpointError{File: path, Err: err}
	}
	return f, nil
}

// readTensors reads a file tensor by tensor. want says where the values go;
// a nil slice leaves the tensor out.
func readTensors(path string, want func(name string, shape []int) ([]float32, error)) (err error) {
	f, err := openTensors(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		if nf4.Belongs(t.Name) {
			continue
		}
		shape, values, err := source(f, t)
		var dst []float32
		if err == nil {
			dst, err = want(t.Name, shape)
		}
		if err == nil && dst != nil {
			err = readTensor(shape, values, dst)
		}
		if err != nil {
			return &CheckpointError{File: path, Tensor: t.Name, Err: err}
		}
	}
	return nil
}

// values are those of a tensor.
type values interface{ Read(dst []float32) error }

// source is the shape of a tensor, and its values where it has any that can be read.
func source(f *safetensors.File, t safetensors.Tensor) (shape []int, v values, err error) {
	if nf4.Stored(f, t.Name) {
		w, err := nf4.Open(f, t.Name)
		if err != nil {
			return nil, nil, err
		}
		return w.Shape, w, nil
	}
	plain, err := f.Values(t)
	if err != nil {
		return t.Shape, unreadable{err}, nil // a tensor that nobody wants may be of any type
	}
	return t.Shape, plain, nil
}

// unreadable are values that cannot be read.
type unreadable struct{ error }

func (u unreadable) Read([]float32) error { return u.error }

func readTensor(shape []int, from values, dst []float32) error {
	size := 1
	for _, d := range shape {
		size *= d
	}
	if size != len(dst) {
		return fmt.Errorf("%d values do not fill its shape %v", len(dst), shape)
	}
	if err := from.Read(dst); err != nil {
		return err
	}
	return checkFinite(dst)
}

// checkFinite returns the error of the first value that is NaN or infinite, with which
// everything that a model computes is no number either.
func checkFinite(values []float32) error {
	const exponent = 0x7f800000
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return notFinite(i, len(values), v)
		}
	}
	return nil
}

// notFinite is the error of value i of n.
func notFinite(i, n int, v float32) error {
	return fmt.Errorf("value %d of %d is %v, so that the model cannot be used: its weights are damaged", i+1, n, v)
}

// writeTensors writes params as a safetensors file, sorted by name.
func writeTensors(path, dtype string, params []*param) (err error) {
	kind, ok := safetensors.DType(dtype)
	if !ok {
		return fmt.Errorf("write %s: type %q is none of float32, float16, bfloat16", path, dtype)
	}
	sorted := slices.SortedFunc(slices.Values(params), func(a, b *param) int { return strings.Compare(a.name, b.name) })
	tensors := make([]safetensors.Tensor, len(sorted))
	for i, p := range sorted {
		tensors[i] = safetensors.Tensor{Name: p.name, DType: kind, Shape: p.shape}
	}
	w, err := safetensors.Create(path, tensors)
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	for _, p := range sorted {
		if err := w.Write(p.values()); err != nil {
			if _, tooLarge := errors.AsType[*safetensors.RangeError](err); tooLarge {
				err = fmt.Errorf("tensor %s: %w", p.name, err)
			}
			return errors.Join(writeError(path, err), w.Close())
		}
	}
	return writeError(path, w.Close())
}

// writeError names the file, if the error does not.
func writeError(path string, err error) error {
	if _, named := errors.AsType[*fs.PathError](err); err == nil || named {
		return err
	}
	return fmt.Errorf("write %s: %w", path, err)
}
