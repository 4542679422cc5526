package safetensors

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/tunebus/tunebus/llm/internal/half"
)

// The types whose values can be read and written.
const (
	F32  = "F32"
	F16  = "F16"
	BF16 = "BF16"
)

// widths are the bytes of a value.
func widths() map[string]int { return map[string]int{F32: 4, F16: 2, BF16: 2} }

// DType returns the type that Python calls by a name: "float32", "float16" or
// "bfloat16". ok is false for any other name.
func DType(name string) (dtype string, ok bool) {
	dtype, ok = map[string]string{"float32": F32, "float16": F16, "bfloat16": BF16}[name]
	return dtype, ok
}

// TypeName is how Python calls a type.
func TypeName(dtype string) string {
	for _, name := range []string{"float32", "float16", "bfloat16"} {
		if is, _ := DType(name); is == dtype {
			return name
		}
	}
	return dtype
}

// chunk is how many bytes are converted at a time.
const chunk = 1 << 16

// Values are the values of one tensor, read one behind the other.
type Values struct {
	raw   io.Reader
	dtype string
	width int
	buf   []byte
}

// Read fills dst with the next values. The error is [ErrTruncated] if there
// are not as many.
func (v *Values) Read(dst []float32) error {
	if v.buf == nil {
		v.buf = make([]byte, chunk)
	}
	for len(dst) > 0 {
		n := min(len(dst), chunk/v.width)
		buf := v.buf[:n*v.width]
		if _, err := io.ReadFull(v.raw, buf); err != nil {
			return ErrTruncated
		}
		decode(dst[:n], buf, v.dtype)
		dst = dst[n:]
	}
	return nil
}

func decode(dst []float32, buf []byte, dtype string) {
	for i := range dst {
		switch dtype {
		case F32:
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(buf[4*i:]))
		case BF16:
			dst[i] = half.FromBFloat16(binary.LittleEndian.Uint16(buf[2*i:]))
		default:
			dst[i] = half.FromFloat16(binary.LittleEndian.Uint16(buf[2*i:]))
		}
	}
}

// encode appends values to buf.
func encode(buf []byte, src []float32, dtype string) []byte {
	for _, v := range src {
		switch dtype {
		case F32:
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		case BF16:
			buf = binary.LittleEndian.AppendUint16(buf, half.ToBFloat16(v))
		default:
			buf = binary.LittleEndian.AppendUint16(buf, half.ToFloat16(v))
		}
	}
	return buf
}

// firstNotFinite is the index of the first value of those that encode wrote that is NaN or
// infinite; -1: there is none.
func firstNotFinite(buf []byte, dtype string) int {
	const exponent32, exponentB, exponent16 = 0x7f800000, 0x7f80, 0x7c00
	if dtype == F32 {
		for i := 0; i < len(buf); i += 4 {
			if binary.LittleEndian.Uint32(buf[i:])&exponent32 == exponent32 {
				return i / 4
			}
		}
		return -1
	}
	exponent := uint16(exponent16)
	if dtype == BF16 {
		exponent = exponentB
	}
	for i := 0; i < len(buf); i += 2 {
		if binary.LittleEndian.Uint16(buf[i:])&exponent == exponent {
			return i / 2
		}
	}
	return -1
}
