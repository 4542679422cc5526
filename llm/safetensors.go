package llm

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
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

var (
	errMissing   = errors.New("is missing")
	errTruncated = errors.New("the file is truncated; copy or download it again")
)

// tensorInfo is an entry of a safetensors header. Source of the format:
// huggingface/safetensors, README, "Format".
type tensorInfo struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// readTensors reads a file tensor by tensor. want says where the values go;
// a nil slice leaves the tensor out.
func readTensors(path string, want func(name string, shape []int) ([]float32, error)) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	header, start, err := readHeader(f, info.Size())
	if err != nil {
		return &CheckpointError{File: path, Err: err}
	}
	for name, t := range header {
		dst, err := want(name, t.Shape)
		if err == nil && dst != nil {
			err = readTensor(f, start, info.Size(), t, dst)
		}
		if err != nil {
			return &CheckpointError{File: path, Tensor: name, Err: err}
		}
	}
	return nil
}

func readHeader(f *os.File, size int64) (map[string]tensorInfo, int64, error) {
	var length uint64
	if err := binary.Read(f, binary.LittleEndian, &length); err != nil {
		return nil, 0, errTruncated
	}
	const most = 100 << 20 // the format's own limit
	if length > most {
		return nil, 0, errors.New("is no safetensors file")
	}
	if int64(length)+8 > size {
		return nil, 0, errTruncated
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(f, body); err != nil {
		return nil, 0, errTruncated
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(body, &raw); err != nil {
		return nil, 0, fmt.Errorf("header: %w", err)
	}
	out := map[string]tensorInfo{}
	for name, r := range raw {
		if name == "__metadata__" {
			continue
		}
		var t tensorInfo
		if err := json.Unmarshal(r, &t); err != nil {
			return nil, 0, fmt.Errorf("header of %s: %w", name, err)
		}
		out[name] = t
	}
	return out, 8 + int64(length), nil
}

func readTensor(f *os.File, start, size int64, t tensorInfo, dst []float32) error {
	width := int64(2)
	switch t.DType {
	case "F32":
		width = 4
	case "F16", "BF16":
	default:
		return fmt.Errorf("type %s is none of F32, F16, BF16", t.DType)
	}
	n := t.Offsets[1] - t.Offsets[0]
	if t.Offsets[0] < 0 || n != int64(len(dst))*width {
		return fmt.Errorf("%d bytes do not hold its shape %v", n, t.Shape)
	}
	if start+t.Offsets[1] > size {
		return errTruncated
	}
	r := bufio.NewReaderSize(io.NewSectionReader(f, start+t.Offsets[0], n), 1<<16)
	var b [4]byte
	for i := range dst {
		if _, err := io.ReadFull(r, b[:width]); err != nil {
			return errTruncated
		}
		switch t.DType {
		case "F32":
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[:]))
		case "BF16":
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[:])) << 16)
		default:
			dst[i] = fromHalf(binary.LittleEndian.Uint16(b[:]))
		}
	}
	return nil
}

// writeTensors writes params as a safetensors file, sorted by name.
func writeTensors(path, dtype string, params []*param) (err error) {
	names := map[string]string{"float32": "F32", "float16": "F16", "bfloat16": "BF16"}
	kind, ok := names[dtype]
	if !ok {
		return fmt.Errorf("write %s: type %q is none of float32, float16, bfloat16", path, dtype)
	}
	width := int64(2)
	if kind == "F32" {
		width = 4
	}
	sorted := append([]*param(nil), params...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].name < sorted[j].name })
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	at := int64(0)
	for _, p := range sorted {
		end := at + int64(p.size())*width
		header[p.name] = tensorInfo{DType: kind, Shape: p.shape, Offsets: [2]int64{at, end}}
		at = end
	}
	head, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<16)
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(head)))
	if _, err := w.Write(append(b, head...)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	for _, p := range sorted {
		for _, v := range p.data {
			b = b[:0]
			switch kind {
			case "F32":
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
			case "BF16":
				b = binary.LittleEndian.AppendUint16(b, toBFloat(v))
			default:
				b = binary.LittleEndian.AppendUint16(b, toHalf(v))
			}
			if _, err := w.Write(b); err != nil {
				return fmt.Errorf("write %s: %w", path, err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
