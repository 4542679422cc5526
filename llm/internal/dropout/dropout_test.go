package dropout

import (
	"math"
	"slices"
	"testing"
)

// TestDropout: the share that stays is right, and a draw depends on everything
// that it should.
func TestDropout(t *testing.T) {
	const rows, in = 300, 64
	mask := func(d Draw, projection int) (out []bool, kept int) {
		p := d.Of(0.4, projection, in)
		for r := range rows {
			for i := range in {
				out = append(out, p.Keeps(r, i))
				if out[len(out)-1] {
					kept++
				}
			}
		}
		return out, kept
	}
	first, kept := mask(Draw{1, 2, 3}, 33)
	if share := float64(kept) / (rows * in); math.Abs(share-0.6) > 0.015 {
		t.Errorf("%.3f of the inputs stay, want 0.6", share)
	}
	if again, _ := mask(Draw{1, 2, 3}, 33); !slices.Equal(first, again) {
		t.Error("a repeated draw differs")
	}
	for name, other := range map[string]func() ([]bool, int){
		"seed": func() ([]bool, int) { return mask(Draw{2, 2, 3}, 33) }, "step": func() ([]bool, int) { return mask(Draw{1, 3, 3}, 33) },
		"part": func() ([]bool, int) { return mask(Draw{1, 2, 4}, 33) }, "layer": func() ([]bool, int) { return mask(Draw{1, 2, 3}, 26) },
		"projection": func() ([]bool, int) { return mask(Draw{1, 2, 3}, 34) },
	} {
		if x, _ := other(); slices.Equal(first, x) {
			t.Errorf("another %s drops the same inputs", name)
		}
	}
	x := []float32{1, 2, 3, 4, 5, 6, 7, 8}
	whole, part := make([]float32, 8), make([]float32, 3)
	d := Draw{1, 2, 3}.Of(0.5, 0, 8)
	d.Fill(whole, x, 9, 0)
	d.Fill(part, x[4:7], 9, 4)
	if !slices.Equal(whole[4:7], part) {
		t.Errorf("%v, and the same columns alone %v", whole, part)
	}
	for i, v := range whole {
		if v != 0 && v != 2*x[i] {
			t.Errorf("input %v became %v", x[i], v)
		}
	}
}
