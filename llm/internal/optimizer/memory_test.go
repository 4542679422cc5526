package optimizer

import "testing"

// TestBytes: what a method is said to take is what it remembers, and little more.
func TestBytes(t *testing.T) {
	t.Parallel()
	for _, method := range Names() {
		for _, momentum := range []float64{0, 0.9} {
			var weights []Weight
			for _, shape := range [][]int{{300, 200}, {20, 30}, {5000}, {400, 100}} {
				n := 1
				for _, d := range shape {
					n *= d
				}
				weights = append(weights, Weight{Shape: shape, Values: make([]float32, n), Gradients: make([]float32, n), Embeds: n == 40000})
			}
			s := Settings{Method: method, Momentum: momentum}
			o, err := New(s, weights, 2)
			if err != nil {
				t.Fatal(err)
			}
			has := int64(0)
			for _, state := range o.State() {
				has += int64(4*len(state.Numbers) + len(state.Bytes))
			}
			for i := range weights { // what is not there yet is counted alike
				weights[i].Values, weights[i].Gradients = nil, nil
			}
			said, err := Bytes(s, weights, 2)
			const rest = 200 << 10 // tables and what goroutines have of their own
			if err != nil || said < has || said > has+rest {
				t.Errorf("%s, momentum %v: %d bytes, and it remembers %d (%v)", method, momentum, said, has, err)
			}
		}
	}
	if _, err := Bytes(Settings{Method: "lion"}, nil, 1); err == nil {
		t.Error("a method that there is not has a size")
	}
}
