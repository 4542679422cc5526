package rundetail

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/losshistory"
)

// TestChart: each step has a column while there are few, and where a column is the mean of
// several steps, the chart says so: its axis then lacks the first loss.
func TestChart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		steps         int
		first, bottom string
	}{
		{3, "loss: 3.0000 at step 1, 1.0000 at step 3", "1 3"},
		{120, "loss: 120.0000 at step 1, 1.0000 at step 120", "each column is the mean of about 2 steps"},
	} {
		curve := &losshistory.Curve{First: float64(c.steps), FirstStep: 1, Last: 1, Steps: int64(c.steps)}
		for step := range c.steps {
			curve.Points = append(curve.Points, losshistory.Point{Step: int64(step + 1), Loss: float64(c.steps - step)})
		}
		var b strings.Builder
		writeChart(&b, "loss", curve)
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		top, _, _ := strings.Cut(strings.TrimSpace(lines[1]), " ")
		if lines[0] != c.first || strings.TrimSpace(lines[len(lines)-1]) != c.bottom || (top == "3.0000") != (c.steps == 3) || len([]rune(lines[1])) > 80 {
			t.Errorf("%d steps:\n%s", c.steps, b.String())
		}
	}
}
