package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/regularfile"
)

// Tensor is an entry of a file's header.
type Tensor struct {
	Name string
	// DType is the type as the format spells it, such as "F32", "BF16", "U8".
	DType string
	Shape []int
	// Bytes is the length of the values.
	Bytes int64

	offset int64 // from the end of the header
}

// Size is how many values the tensor has.
func (t Tensor) Size() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		n *= int64(d)
	}
	return n
}

// IsFloat reports whether the values can be read: F32, F16 and BF16.
func (t Tensor) IsFloat() bool { return widths()[t.DType] > 0 }

// As is the tensor with values of another type, F32, F16 or BF16.
func (t Tensor) As(dtype string) Tensor {
	t.DType, t.Bytes = dtype, t.Size()*int64(widths()[dtype])
	return t
}

// ErrTruncated says that a file ends before its tensors do.
var ErrTruncated = errors.New("the file is truncated; copy or download it again")

// File is an open file.
type File struct {
	file    *os.File
	size    int64
	start   int64 // of the values
	tensors []Tensor
}

// Open reads the header of a file.
func Open(path string) (*File, error) {
	f, err := regularfile.Open(path)
	if err != nil {
		return nil, err
	}
	out := &File{file: f}
	if err := out.readHeader(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return out, nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Tensors lists the tensors in the order of their values.
func (f *File) Tensors() []Tensor { return f.tensors }

// Find finds a tensor by its name.
func (f *File) Find(name string) (Tensor, bool) {
	i := slices.IndexFunc(f.tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// headerEntry is a tensor as the header spells it.
type headerEntry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// metadata is the entry of the header that is no tensor.
const metadata = "__metadata__"

// PointerPrefix is how a file begins that Git LFS has in the place of a large one.
const PointerPrefix = "version https://git-lfs."

func (f *File) readHeader() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	f.size = info.Size()
	var length uint64
	if err := binary.Read(f.file, binary.LittleEndian, &length); err != nil {
		return ErrTruncated
	}
	const most = 100 << 20 // the format's own limit
	if length == binary.LittleEndian.Uint64([]byte(PointerPrefix)) {
		return errors.New("is a pointer of Git LFS, and the file was not fetched; run git lfs pull in its folder")
	}
	if length > most {
		return errors.New("is no safetensors file")
	}
	if int64(length)+8 > f.size {
		return ErrTruncated
	}
	f.start = 8 + int64(length)
	body := make([]byte, length)
	if _, err := io.ReadFull(f.file, body); err != nil {
		return ErrTruncated
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	for name, r := range raw {
		if name == metadata {
			continue
		}
		var e headerEntry
		if err := json.Unmarshal(r, &e); err != nil {
			return fmt.Errorf("header of %s: %w", name, err)
		}
		if e.Offsets[0] < 0 || e.Offsets[1] < e.Offsets[0] {
			return fmt.Errorf("header of %s: data_offsets are %v", name, e.Offsets)
		}
		f.tensors = append(f.tensors, Tensor{Name: name, DType: e.DType, Shape: e.Shape, Bytes: e.Offsets[1] - e.Offsets[0], offset: e.Offsets[0]})
	}
	slices.SortFunc(f.tensors, func(a, b Tensor) int {
		if a.offset != b.offset {
			return int(min(max(a.offset-b.offset, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return f.checkPlaces()
}

// checkPlaces checks that the tensors cover the file without gap and without
// overlap. Else names and values may not belong together, as after a cut or a copy
// of two files into one. Source: safetensors, Metadata::validate.
func (f *File) checkPlaces() error {
	end, last := int64(0), ""
	for _, t := range f.tensors {
		switch {
		case t.Bytes == 0:
			continue
		case t.offset < end:
			return fmt.Errorf("header: the tensors %s and %s overlap", last, t.Name)
		case t.offset > end:
			return fmt.Errorf("header: %d bytes before the tensor %s belong to no tensor", t.offset-end, t.Name)
		}
		end, last = t.offset+t.Bytes, t.Name
	}
	switch have := f.size - f.start; {
	case end > have:
		return fmt.Errorf("it has %d bytes, and its header says %d: %w", f.size, uint64(f.start)+uint64(end), ErrTruncated)
	case end < have:
		return fmt.Errorf("%d bytes behind the last tensor belong to no tensor; the file was not written or copied rightly", have-end)
	}
	return nil
}

// Raw reads the values of a tensor as they are stored.
func (f *File) Raw(t Tensor) (io.Reader, error) {
	if t.offset > f.size-f.start || t.Bytes > f.size-f.start-t.offset {
		return nil, ErrTruncated
	}
	return io.NewSectionReader(f.file, f.start+t.offset, t.Bytes), nil
}

// Values reads the values of a tensor of the types F32, F16 and BF16, a part
// at a time.
func (f *File) Values(t Tensor) (*Values, error) {
	width, ok := widths()[t.DType]
	if !ok {
		what := ""
		if strings.HasPrefix(t.DType, "F8") || strings.HasPrefix(t.DType, "I") || strings.HasPrefix(t.DType, "U") {
			what = ", so it is quantised; the checkpoint that it was made from can be read"
		}
		return nil, fmt.Errorf("type %s is none of F32, F16, BF16%s", t.DType, what)
	}
	for _, d := range t.Shape {
		if d < 0 {
			return nil, fmt.Errorf("its shape is %v", t.Shape)
		}
	}
	if t.Bytes%int64(width) != 0 || t.Size() != t.Bytes/int64(width) {
		return nil, fmt.Errorf("%d bytes do not hold its shape %v", t.Bytes, t.Shape)
	}
	raw, err := f.Raw(t)
	if err != nil {
		return nil, err
	}
	return &Values{raw: raw, dtype: t.DType, width: width}, nil
}
