package rundetail

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/losshistory"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// The size of a chart in characters, so that it and its axis fit into 80 columns.
const (
	chartWidth  = 60
	chartHeight = 6
)

// bars are the eight heights within one character.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// writeChart draws a curve as bars from its smallest loss up, with its largest and
// smallest loss at the left and its steps below.
func writeChart(w io.Writer, name string, c *losshistory.Curve) {
	if c == nil || len(c.Points) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s: ", name)
	if len(c.Points) > 1 {
		fmt.Fprintf(w, "%s at step %d, ", view.Loss(c.First), c.FirstStep)
	}
	fmt.Fprintf(w, "%s at step %d\n", view.Loss(c.Last), c.Steps)
	const fewest = 3
	if len(c.Points) < fewest {
		return
	}
	columns, low, high := columnsOf(c)
	for line := range chartHeight {
		axis := ""
		switch line {
		case 0:
			axis = view.Loss(high)
		case chartHeight - 1:
			axis = view.Loss(low)
		}
		var b strings.Builder
		for _, loss := range columns {
			b.WriteRune(barOf(loss, low, high, chartHeight-1-line))
		}
		fmt.Fprintf(w, "%9s │%s\n", axis, strings.TrimRight(b.String(), " "))
	}
	begin, end := fmt.Sprint(c.Points[0].Step), fmt.Sprint(c.Points[len(c.Points)-1].Step)
	fmt.Fprintf(w, "%9s └%s\n", "", strings.Repeat("─", len(columns)))
	fmt.Fprintf(w, "%9s  %-*s%s\n", "", max(len(begin)+1, len(columns)-len(end)), begin, end)
	if len(c.Points) > len(columns) { // so that the axis has neither the first loss nor the largest one
		n := int64(len(columns))
		fmt.Fprintf(w, "%9s  each column is the mean of about %d steps\n", "", (c.Steps-c.FirstStep+1+n/2)/n)
	}
}

// columnsOf spreads the points over the columns of the chart, by their order.
func columnsOf(c *losshistory.Curve) (columns []float64, low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	width := min(chartWidth, len(c.Points))
	for i := range width {
		from, to := i*len(c.Points)/width, (i+1)*len(c.Points)/width
		sum := 0.0
		for _, p := range c.Points[from:to] {
			sum += p.Loss
		}
		loss := sum / float64(to-from)
		columns = append(columns, loss)
		low, high = min(low, loss), max(high, loss)
	}
	return columns, low, high
}

// barOf is the character of a loss in a line, counted from the bottom. Every loss
// has a bar, so that none looks missing.
func barOf(loss, low, high float64, line int) rune {
	steps := len(bars) - 1
	height := 1
	if high > low {
		height = 1 + int(math.Round((loss-low)/(high-low)*float64(chartHeight*steps-1)))
	}
	return bars[min(max(height-line*steps, 0), steps)]
}
