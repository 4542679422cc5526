package losshistory

import (
	"math"
	"testing"
)

// TestCurve: however many steps there are, the points are few, in order, and their
// mean is that of the losses.
func TestCurve(t *testing.T) {
	t.Parallel()
	for _, steps := range []int{1, 2, 511, 512, 513, 1024, 5000, 100_000} {
		var c Curve
		for i := range steps {
			c.add(int64(i+1), float64(steps-i))
			c.add(int64(i+1), math.NaN())
		}
		if len(c.Points) > maxPoints || len(c.Points) < min(steps, maxPoints/2) {
			t.Errorf("%d steps: %d points", steps, len(c.Points))
		}
		if c.First != float64(steps) || c.Last != 1 || c.Steps != int64(steps) {
			t.Errorf("%d steps: %v to %v at %d", steps, c.First, c.Last, c.Steps)
		}
		for i, p := range c.Points {
			if i > 0 && (p.Step <= c.Points[i-1].Step || p.Loss >= c.Points[i-1].Loss) {
				t.Fatalf("%d steps: point %d is %v after %v", steps, i, p, c.Points[i-1])
			}
		}
		if last := c.Points[len(c.Points)-1]; last.Step != int64(steps) {
			t.Errorf("%d steps: the last point is at step %d", steps, last.Step)
		}
	}
}
