package half

import "testing"

// TestHalves holds the conversion to all values that there are.
func TestHalves(t *testing.T) {
	t.Parallel()
	for h := range 1 << 16 {
		v := FromFloat16(uint16(h))
		if v != v {
			continue
		}
		if back := ToFloat16(v); back != uint16(h) {
			t.Fatalf("%#04x is %v, and that is %#04x", h, v, back)
		}
	}
	for v, want := range map[float32]uint16{1: 0x3c00, -2: 0xc000, 65519: 0x7bff, 65520: 0x7c00, 1e30: 0x7c00, 0x1p-24: 1, 0x1p-25: 0, 0x1.8p-24: 2, 2049: 0x6800, 2051: 0x6802} {
		if got := ToFloat16(v); got != want {
			t.Errorf("%v is %#04x, want %#04x", v, got, want)
		}
	}
	for v, want := range map[float32]uint16{1: 0x3f80, 1.00390625: 0x3f80, 1.01171875: 0x3f82, -3.5: 0xc060} {
		if got := ToBFloat16(v); got != want {
			t.Errorf("%v is %#04x, want %#04x", v, got, want)
		}
	}
}
