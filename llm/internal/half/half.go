// Package half converts between float32 and the two types of sixteen bits, float16 and
// bfloat16.
package half

import "math"

// ToBFloat16 rounds to the nearest bfloat16, ties to even.
func ToBFloat16(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + (b>>16)&1) >> 16)
}

// FromBFloat16 widens a bfloat16, which is the upper half of a float32.
func FromBFloat16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// FromFloat16 widens an IEEE 754 half.
func FromFloat16(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, int(h>>10)&31, uint32(h)&1023
	switch exp {
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	case 0:
		v := float32(math.Ldexp(float64(frac), -24))
		return math.Float32frombits(sign | math.Float32bits(v))
	default:
		return math.Float32frombits(sign | uint32(exp+112)<<23 | frac<<13)
	}
}

// ToFloat16 rounds to the nearest half, ties to even; what is too large becomes
// infinite.
func ToFloat16(v float32) uint16 {
	b := math.Float32bits(v)
	sign := uint16(b>>16) & 0x8000
	a := math.Abs(float64(v))
	switch {
	case v != v:
		return sign | 0x7e00
	case a >= 65520:
		return sign | 0x7c00
	case a < 0x1p-14:
		return sign | uint16(math.RoundToEven(a*0x1p24))
	}
	b &= 0x7fffffff
	b += 0xfff + (b>>13)&1
	return sign | uint16((b-0x38000000)>>13)
}
