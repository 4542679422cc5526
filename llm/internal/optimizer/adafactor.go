package optimizer

import (
	"math"

	"github.com/tunebus/tunebus/llm/internal/crew"
)

// The settings of Adafactor, which are those of transformers' trainer.
const (
	adaEpsilon = 1e-30
	adaClip    = 1
	adaDecay   = -0.8
)

// adafactor is the optimizer of Shazeer and Stern 2018, as transformers' trainer has
// it: with the rate of the schedule, and without momentum. Of a matrix it remembers a
// number for each row and for each column.
type adafactor struct{ weights []factored }

// factored is a weight with the means of its squared gradients.
type factored struct {
	Weight
	rows, columns []float32 // of a matrix
	each          []float32 // of a vector
	sums          []float64 // of the squares of the update, of each row or piece
}

func newAdafactor(weights []Weight) *adafactor {
	a := &adafactor{}
	for _, w := range weights {
		f := factored{Weight: w}
		if len(w.Shape) < 2 {
			f.each = make([]float32, len(w.Values))
			f.sums = make([]float64, (len(w.Values)+piece-1)/piece)
		} else {
			columns := w.Shape[len(w.Shape)-1]
			f.rows, f.columns = make([]float32, len(w.Values)/max(columns, 1)), make([]float32, columns)
			f.sums = make([]float64, len(f.rows))
		}
		a.weights = append(a.weights, f)
	}
	return a
}

func (a *adafactor) update(c *crew.Crew, who int, s Step) {
	keep := 1 - math.Pow(float64(s.Number), adaDecay)
	scale := float32(s.Scale)
	for i := range a.weights {
		if f := &a.weights[i]; f.each == nil {
			f.remember(c, who, keep, scale)
		} else {
			f.rememberEach(c, who, keep, scale)
		}
	}
	c.Meet() // the means are there
	for i := range a.weights {
		a.weights[i].measure(c, who, scale)
	}
	c.Meet() // the updates are measured
	for i := range a.weights {
		a.weights[i].change(c, who, s)
	}
}

// remember takes the squared gradients of a matrix into the means of a member's rows
// and columns.
func (f *factored) remember(c *crew.Crew, who int, keep float64, scale float32) {
	n := len(f.columns)
	from, to := c.Share(len(f.rows), 1, who)
	for r := from; r < to; r++ {
		sum := 0.0
		for _, g := range f.Gradients[r*n : (r+1)*n] {
			d := float64(g * scale)
			sum += d * d
		}
		f.rows[r] = mixed(f.rows[r], sum/float64(n)+adaEpsilon, keep)
	}
	const together = 64
	var sums [together]float64
	from, to = c.Share(n, 16, who)
	for ; from < to; from += together {
		end := min(from+together, to)
		clear(sums[:])
		for r := range f.rows {
			for j, g := range f.Gradients[r*n+from : r*n+end] {
				d := float64(g * scale)
				sums[j] += d * d
			}
		}
		for j := from; j < end; j++ {
			f.columns[j] = mixed(f.columns[j], sums[j-from]/float64(len(f.rows))+adaEpsilon, keep)
		}
	}
}

// rememberEach takes the squared gradients of a vector into a member's means.
func (f *factored) rememberEach(c *crew.Crew, who int, keep float64, scale float32) {
	from, to := c.Share(len(f.each), piece, who)
	for i := from; i < to; i++ {
		d := float64(f.Gradients[i] * scale)
		f.each[i] = mixed(f.each[i], d*d+adaEpsilon, keep)
	}
}

// mixed is a moving mean after one more value.
func mixed(mean float32, value, keep float64) float32 {
	return float32(float64(mean)*keep + value*(1-keep))
}

// width is how many numbers of the weight are summed in one go.
func (f *factored) width() int {
	if f.each != nil {
		return piece
	}
	return len(f.columns)
}

// measure makes updates of a member's gradients, and sums their squares.
func (f *factored) measure(c *crew.Crew, who int, scale float32) {
	mean := 0.0
	for _, r := range f.rows { // every member does so, which is less work than to wait
		mean += float64(r)
	}
	mean /= float64(max(len(f.rows), 1))
	from, to := c.Share(len(f.sums), 1, who)
	for r := from; r < to; r++ {
		row := f.Gradients[r*f.width() : min((r+1)*f.width(), len(f.Gradients))]
		over := float32(1)
		if f.each == nil {
			over = float32(1 / math.Sqrt(float64(f.rows[r])/mean))
		}
		sum := 0.0
		for j, g := range row {
			if f.each == nil {
				row[j] = float32(float32(over/root(f.columns[j])) * float32(g*scale))
			} else {
				row[j] = float32(g*scale) / root(f.each[r*piece+j])
			}
			sum += float64(row[j]) * float64(row[j])
		}
		f.sums[r] = sum
	}
}

// change changes a member's weights by the updates.
func (f *factored) change(c *crew.Crew, who int, s Step) {
	sum := 0.0
	for _, v := range f.sums {
		sum += v
	}
	rate := float32(s.Rate / max(1, math.Sqrt(sum/float64(max(len(f.Values), 1)))/adaClip))
	stay := float32(1)
	if f.Decays {
		stay = float32(1 - s.Rate*s.Decay)
	}
	from, to := c.Share(len(f.sums), 1, who)
	from, to = from*f.width(), min(to*f.width(), len(f.Values))
	for i := from; i < to; i++ {
		f.Values[i] = float32(f.Values[i]*stay) - float32(rate*f.Gradients[i])
	}
	clear(f.Gradients[from:max(from, to)])
}

func root(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func (a *adafactor) state() []State {
	var out []State
	for _, w := range a.weights {
		if w.each != nil {
			out = append(out, State{Name: "squares", Weight: w.Name, Shape: w.Shape, Numbers: w.each})
			continue
		}
		out = append(out, State{Name: "row_squares", Weight: w.Name, Shape: []int{len(w.rows)}, Numbers: w.rows},
			State{Name: "column_squares", Weight: w.Name, Shape: []int{len(w.columns)}, Numbers: w.columns})
	}
	return out
}
