package safetensors

import "math"

// toBFloat rounds to the nearest bfloat16, ties to even.
func toBFloat(v float32) uint16 {
	b := math.Float32bits(v)
	if v != v {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + (b>>16)&1) >> 16)
}

// fromHalf widens an IEEE 754 half.
func fromHalf(h uint16) float32 {
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

// toHalf rounds to the nearest half, ties to even; what is too large becomes
// infinite.
func toHalf(v float32) uint16 {
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
