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

	codes  io.Reader
	code   [16]float32
	scales []float32 // of the blocks
	block  int
	round  func(float32) float32 // to the type that the weight had
	values int
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
	if w.round, err = rounding(s.DType); err != nil {
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
	w.scales, err = scales(f, name, s, (w.values+s.Block-1)/s.Block)
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

// scales are the factors of the blocks.
func scales(f *safetensors.File, name string, s state, blocks int) ([]float32, error) {
	t, ok := f.Find(name + factors)
	if !ok {
		return nil, missing(factors)
	}
	if t.DType == safetensors.F32 {
		return floats(f, name+factors, blocks)
	}
	if t.DType != "U8" || t.Bytes != int64(blocks) || s.NestedBlock < 1 {
		return nil, fmt.Errorf("%s has %d bytes of the type %s for %d blocks, with nested_blocksize %d", factors[1:], t.Bytes, t.DType, blocks, s.NestedBlock)
	}
	raw, err := bytes(f, t)
	if err != nil {
		return nil, err
	}
	code, err := floats(f, name+nestedTable, 256)
	if err != nil {
		return nil, err
	}
	nested, err := floats(f, name+nestedFactors, (blocks+s.NestedBlock-1)/s.NestedBlock)
	if err != nil {
		return nil, err
	}
	out := make([]float32, blocks)
	for i, b := range raw {
		out[i] = float32(code[b]*nested[i/s.NestedBlock]) + float32(s.Offset)
	}
	return out, nil
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

// rounding rounds to the type that a weight had, to the nearest and to even between two.
func rounding(dtype string) (func(float32) float32, error) {
	switch dtype {
	case "float32":
		return func(x float32) float32 { return x }, nil
	case "bfloat16":
		return func(x float32) float32 {
			b := math.Float32bits(x)
			return math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
		}, nil
	case "float16":
		return half, nil
	}
	return nil, fmt.Errorf("its dtype is %q; want float32, bfloat16 or float16", dtype)
}

// half rounds to float16.
func half(x float32) float32 {
	const smallest = 1.0 / (1 << 24) // of all numbers of float16, between those below 2⁻¹⁴
	v := float64(x)
	_, e := math.Frexp(v)
	step := math.Max(math.Ldexp(1, e-11), smallest)
	return float32(math.RoundToEven(v/step) * step)
}

// Read gives all values, in the type that the weight had. It can be called once.
func (w *Weight) Read(dst []float32) error {
	if len(dst) != w.values {
		return fmt.Errorf("%d values do not fill its shape %v", len(dst), w.Shape)
	}
	at := 0
	raw := make([]byte, 1<<15)
	for len(dst) > 0 {
		n := min((len(dst)+1)/2, len(raw))
		if _, err := io.ReadFull(w.codes, raw[:n]); err != nil {
			return safetensors.ErrTruncated
		}
		for i, b := range raw[:n] {
			for half, code := range [2]byte{b >> 4, b & 15} {
				if j := 2*i + half; j < len(dst) {
					dst[j] = w.round(w.code[code] * w.scales[(at+j)/w.block])
				}
			}
		}
		done := min(2*n, len(dst))
		dst, at = dst[done:], at+done
	}
	return nil
}
