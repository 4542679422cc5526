package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// Writer writes a file, its tensors in the order in which they were announced.
type Writer struct {
	file    *os.File
	out     *bufio.Writer
	tensors []Tensor
	next    int
	written int64 // bytes of the tensor next
	buf     []byte
	failed  bool // a write failed, and said so
	any     bool // see TakeAny
}

// RangeError says which value of a tensor is not finite in the type in which it would
// be stored: it is NaN or infinite, or larger than the largest one of the type.
type RangeError struct {
	Tensor       string
	DType        string // as [DType] takes it
	Index, Count int    // of the value, and of all
	Value        float32
}

func (e *RangeError) Error() string {
	if v := float64(e.Value); math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprintf("value %d of %d is %v, so that nobody could use the file", e.Index+1, e.Count, v)
	}
	return fmt.Sprintf("value %d of %d is %g, which is beyond what %s can hold; bfloat16 and float32 hold larger ones", e.Index+1, e.Count, e.Value, e.DType)
}

// Create makes a file and writes its header. Of the tensors, Bytes has to be
// set where DType is none of F32, F16 and BF16. A Writer that is not closed
// leaves a damaged file.
func Create(path string, tensors []Tensor) (*Writer, error) {
	w := &Writer{}
	header := map[string]any{metadata: map[string]string{"format": "pt"}}
	at := int64(0)
	for _, t := range tensors {
		if t.IsFloat() {
			t = t.As(t.DType)
		}
		if t.Shape == nil {
			t.Shape = []int{} // the format has a list there also for a single value
		}
		header[t.Name] = headerEntry{DType: t.DType, Shape: t.Shape, Offsets: [2]int64{at, at + t.Bytes}}
		at += t.Bytes
		w.tensors = append(w.tensors, t)
	}
	head, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	if w.file, err = os.Create(path); err != nil {
		return nil, err
	}
	w.out = bufio.NewWriterSize(w.file, chunk)
	_, err = w.out.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...))
	if err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// TakeAny has the Writer take values that are not finite, for files that nobody but their
// writer reads.
func (w *Writer) TakeAny() { w.any = true }

// Write writes the next values of the tensor that is not complete yet. The error is a
// [*RangeError] if one of them would not be finite there.
func (w *Writer) Write(values []float32) error {
	t, err := w.current()
	if err != nil {
		return err
	}
	for len(values) > 0 {
		n := min(len(values), chunk/4)
		w.buf = encode(w.buf[:0], values[:n], t.DType)
		if i := firstNotFinite(w.buf, t.DType); i >= 0 && !w.any {
			w.failed = true
			before := w.written * t.Size() / max(1, t.Bytes)
			return &RangeError{Tensor: t.Name, DType: TypeName(t.DType), Index: int(before) + i, Count: int(t.Size()), Value: values[i]}
		}
		if err := w.add(t, w.buf); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// Copy writes a whole tensor from bytes as they are stored.
func (w *Writer) Copy(r io.Reader) error {
	t, err := w.current()
	if err != nil {
		return err
	}
	n, err := io.Copy(w.out, r)
	if err == nil && n != t.Bytes {
		err = fmt.Errorf("tensor %s: %d bytes instead of %d", t.Name, n, t.Bytes)
	}
	w.next++
	w.failed = err != nil
	return err
}

func (w *Writer) current() (Tensor, error) {
	if w.next == len(w.tensors) {
		return Tensor{}, errors.New("more values than the tensors have")
	}
	return w.tensors[w.next], nil
}

func (w *Writer) add(t Tensor, body []byte) error {
	if w.written += int64(len(body)); w.written > t.Bytes {
		return fmt.Errorf("tensor %s: more values than its shape %v has", t.Name, t.Shape)
	}
	if w.written == t.Bytes {
		w.next, w.written = w.next+1, 0
	}
	_, err := w.out.Write(body)
	w.failed = err != nil
	return err
}

// Close writes what is left and closes the file. It is an error if tensors are
// not complete.
func (w *Writer) Close() error {
	if w.failed { // and said so
		return w.file.Close()
	}
	err := w.out.Flush()
	if err == nil && w.next < len(w.tensors) {
		err = fmt.Errorf("tensor %s is not complete", w.tensors[w.next].Name)
	}
	return errors.Join(err, w.file.Close())
}
