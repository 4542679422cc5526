// Package nf4 reads weights that bitsandbytes stored in four bits (Dettmers et al.
// 2023): two indices of a table of sixteen numbers in a byte, the first one in its
// upper half, and a factor for each block. With double quantisation the factors are
// indices of a table themselves, with a factor for each of their blocks and one offset.
package nf4

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/weight"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// What belongs to a weight has its name and one of these behind it.
const (
	factors       = ".absmax"
	table         = ".quant_map"
	nestedFactors = ".nested_absmax"
	nestedTable   = ".nested_quant_map"
	stateNF4      = ".quant_state.bitsandbytes__nf4"
)

// Belongs reports whether a tensor belongs to a weight that is stored in four bits, and
// has no weights of its own.
func Belongs(name string) bool {
	for _, end := range []string{factors, table, nestedFactors, nestedTable, stateNF4} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Stored reports whether a weight of a file is stored in four bits.
func Stored(f *safetensors.File, name string) bool {
	_, ok := f.Find(name + stateNF4)
	return ok
}

// Weight is a weight that is stored in four bits.
type Weight struct {
	// Shape is that of the weight.
	Shape []int

	codes    io.Reader
	code     [16]float32
	scales   []float32      // of the blocks
	nested   *weight.Nested // in place of scales
	block    int
	rounding weight.Rounding // to the type that the weight had
	values   int
}

// state is what bitsandbytes says of a weight.
type state struct {
	Type        string  `json:"quant_type"`
	Block       int     `json:"blocksize"`
	DType       string  `json:"dtype"`
	Shape       []int   `json:"shape"`
	NestedBlock int     `json:"nested_blocksize"`
	Offset      float64 `json:"nested_offset"`
}

// longestState is more than bitsandbytes writes, in bytes.
const longestState = 4096

// Open reads all of a weight but its values, which Read gives.
func Open(f *safetensors.File, name string) (*Weight, error) {
	s, err := readState(f, name)
	if err != nil {
		return nil, err
	}
	w := &Weight{Shape: s.Shape, block: s.Block, values: 1}
	if w.rounding, err = rounding(s.DType); err != nil {
		return nil, err
	}
	for _, d := range s.Shape {
		if d < 1 || w.values > math.MaxInt32/d {
			return nil, fmt.Errorf("its shape is %v", s.Shape)
		}
		w.values *= d
	}
	codes, _ := f.Find(name)
	if codes.DType != "U8" || codes.Bytes != int64((w.values+1)/2) {
		return nil, fmt.Errorf("%d bytes of the type %s do not hold the shape %v in four bits", codes.Bytes, codes.DType, s.Shape)
	}
	if w.codes, err = f.Raw(codes); err != nil {
		return nil, err
	}
	code, err := floats(f, name+table, 16)
	if err != nil {
		return nil, err
	}
	copy(w.code[:], code)
	w.scales, w.nested, err = scales(f, name, s, (w.values+s.Block-1)/s.Block)
	return w, err
}

func readState(f *safetensors.File, name string) (s state, err error) {
	t, _ := f.Find(name + stateNF4)
	if t.Bytes > longestState {
		return s, fmt.Errorf("%s has %d bytes", stateNF4[1:], t.Bytes)
	}
	body, err := bytes(f, t)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("%s: %w", stateNF4[1:], err)
	}
	if s.Type != "nf4" || s.Block < 1 || len(s.Shape) == 0 {
		return s, fmt.Errorf("%s: quant_type is %q, blocksize %d and shape %v", stateNF4[1:], s.Type, s.Block, s.Shape)
	}
	return s, nil
}

// scales are the factors of the blocks: numbers, or indices of a table.
func scales(f *safetensors.File, name string, s state, blocks int) ([]float32, *weight.Nested, error) {
	t, ok := f.Find(name + factors)
	if !ok {
		return nil, nil, missing(factors)
	}
	if t.DType == safetensors.F32 {
		plain, err := floats(f, name+factors, blocks)
		return plain, nil, err
	}
	if t.DType != "U8" || t.Bytes != int64(blocks) || s.NestedBlock < 1 {
		return nil, nil, fmt.Errorf("%s has %d bytes of the type %s for %d blocks, with nested_blocksize %d", factors[1:], t.Bytes, t.DType, blocks, s.NestedBlock)
	}
	n := &weight.Nested{Table: new([256]float32), Block: s.NestedBlock, Offset: float32(s.Offset)}
	var err error
	if n.Codes, err = bytes(f, t); err != nil {
		return nil, nil, err
	}
	code, err := floats(f, name+nestedTable, 256)
	if err != nil {
		return nil, nil, err
	}
	copy(n.Table[:], code)
	n.Factors, err = floats(f, name+nestedFactors, (blocks+s.NestedBlock-1)/s.NestedBlock)
	return nil, n, err
}

func missing(end string) error { return fmt.Errorf("%s of it is missing", end[1:]) }

// floats are so many numbers of a tensor of float32.
func floats(f *safetensors.File, name string, n int) ([]float32, error) {
	t, ok := f.Find(name)
	end := name[strings.LastIndexByte(name, '.'):]
	if !ok {
		return nil, missing(end)
	}
	if t.DType != safetensors.F32 || t.Bytes != 4*int64(n) {
		return nil, fmt.Errorf("%s has %d bytes of the type %s; want %d numbers of F32", end[1:], t.Bytes, t.DType, n)
	}
	raw, err := bytes(f, t)
	if err != nil {
		return nil, err
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out, nil
}

// bytes are those of a tensor, which the file has.
func bytes(f *safetensors.File, t safetensors.Tensor) ([]byte, error) {
	r, err := f.Raw(t)
	if err != nil {
		return nil, err
	}
	out := make([]byte, t.Bytes)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, safetensors.ErrTruncated
	}
	return out, nil
}

// rounding is that to the type that a weight had.
func rounding(dtype string) (weight.Rounding, error) {
	r, ok := map[string]weight.Rounding{"float32": weight.ToFloat32, "bfloat16": weight.ToBFloat16, "float16": weight.ToFloat16}[dtype]
	if !ok {
		return r, fmt.Errorf("its dtype is %q; want float32, bfloat16 or float16", dtype)
	}
	return r, nil
}

// Bytes is how much memory the weight takes as Packed makes it.
func (w *Weight) Bytes() int {
	if len(w.Shape) != 2 {
		return 4 * w.values // as Read gives it
	}
	nested := 0
	if w.nested != nil {
		nested = w.nested.Block
	}
	return weight.NibblesSize(w.Shape[0], w.Shape[1], w.block, nested)
}

// Packed is the weight, a matrix, in four bits. It can be called once.
func (w *Weight) Packed() (*kernel.Packed, error) {
	if len(w.Shape) != 2 {
		return nil, fmt.Errorf("its shape is %v; want a matrix", w.Shape)
	}
	out, in := w.Shape[0], w.Shape[1]
	n := weight.NewNibbles(out, in, w.block, w.code, w.nested, w.rounding)
	if w.nested == nil {
		n.SetFactors(w.scales)
	}
	raw := make([]byte, 1<<16)
	for at := 0; at < w.values; at += 2 * len(raw) {
		raw = raw[:min(len(raw), (w.values-at+1)/2)]
		if _, err := io.ReadFull(w.codes, raw); err != nil {
			return nil, safetensors.ErrTruncated
		}
		n.Set(at, raw)
	}
	return kernel.PackPanels(n, out, in), nil
}

// Read gives all values, in the type that the weight had. It can be called once.
func (w *Weight) Read(dst []float32) error {
	if len(dst) != w.values {
		return fmt.Errorf("%d values do not fill its shape %v", len(dst), w.Shape)
	}
	p, err := w.Packed()
	if err == nil {
		p.Fill(new(kernel.Scratch), dst, 0, p.Out)
	}
	return err
}
