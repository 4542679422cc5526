package optimizer

import "fmt"

// Bytes is how much memory the optimizer takes for weights that there need not be, by
// their shapes, with so many goroutines. An error names a method that there is not.
func Bytes(s Settings, weights []Weight, threads int) (int64, error) {
	const number, double = 4, 8
	of, fixed := func(Weight, int64) int64 { return 0 }, int64(0)
	switch s.Method {
	case "", "adamw_torch", "adamw_torch_fused", "adamw", "paged_adamw_32bit":
		of = func(_ Weight, n int64) int64 { return 2 * number * n }
	case "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit":
		fixed = 2*(1<<16) + 2*number*piece*int64(max(threads, 1))
		of = func(w Weight, n int64) int64 {
			if n < smallest || w.Embeds {
				return 2 * number * n
			}
			return 2 * (n + number*((n+block-1)/block))
		}
	case "sgd":
		if s.Momentum != 0 {
			of = func(_ Weight, n int64) int64 { return number * n }
		}
	case "adafactor":
		of = func(w Weight, n int64) int64 {
			if len(w.Shape) < 2 {
				return number*n + double*((n+piece-1)/piece)
			}
			columns := int64(w.Shape[len(w.Shape)-1])
			rows := n / max(columns, 1)
			return number*(rows+columns) + double*rows
		}
	default:
		return 0, fmt.Errorf("optimizer %q is none of %v", s.Method, Names())
	}
	for _, w := range weights {
		n := int64(1)
		for _, d := range w.Shape {
			n *= int64(d)
		}
		fixed += of(w, n)
	}
	return fixed, nil
}
