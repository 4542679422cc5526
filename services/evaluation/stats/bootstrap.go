package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Options are the parameters of the random draws. The zero value is the default.
type Options struct {
	Samples int     // number of draws; 0 is 2,000
	Level   float64 // share of the distribution inside an interval; a value that is not between 0 and 1 is 0.95
	Seed    uint64
}

func (o Options) withDefaults() Options {
	if o.Samples <= 0 {
		o.Samples = 2000
	}
	if o.Level <= 0 || o.Level >= 1 {
		o.Level = 0.95
	}
	return o
}

func (o Options) random() *rand.Rand { return rand.New(rand.NewPCG(o.Seed, 0x74756e65627573)) }

// Interval is a confidence interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// MeanInterval is the percentile bootstrap interval of the mean (Efron 1979).
// It is empty at 0 without values.
func MeanInterval(values []float64, opts Options) Interval {
	values = scored(values)
	return Bootstrap(len(values), func(picks []int) float64 {
		sum := 0.0
		for _, i := range picks {
			sum += values[i]
		}
		return sum / float64(len(picks))
	}, opts)
}

// Bootstrap is the percentile interval of any statistic of n rows, such as a
// corpus score: the statistic gets n rows drawn with replacement, and must not
// keep the slice.
func Bootstrap(n int, statistic func(picks []int) float64, opts Options) Interval {
	if n <= 0 {
		return Interval{}
	}
	opts = opts.withDefaults()
	random := opts.random()
	picks := make([]int, n)
	results := make([]float64, opts.Samples)
	for s := range results {
		for i := range picks {
			picks[i] = random.IntN(n)
		}
		results[s] = statistic(picks)
	}
	return percentiles(results, opts.Level)
}

// Comparison is the difference of a model from a baseline on the same rows.
type Comparison struct {
	Rows       int      `json:"rows"`       // that both have a score for
	Difference float64  `json:"difference"` // of the means, positive where the model is better
	Interval   Interval `json:"interval"`   // of the difference
	// P is the p-value: the probability of a difference at least this large if the
	// models do not differ (two-sided paired randomisation test). It is never 0,
	// because it is drawn.
	P      float64 `json:"p"`
	Better int     `json:"better"` // rows where the model is better
	Worse  int     `json:"worse"`
	Equal  int     `json:"equal"`
}

// Compare compares two models row by row. It fails if they do not have the same
// number of rows.
func Compare(baseline, model []float64, opts Options) (Comparison, error) {
	if len(baseline) != len(model) {
		return Comparison{}, fmt.Errorf("compare scores: %d rows of the baseline, %d of the model", len(baseline), len(model))
	}
	var c Comparison
	var differences []float64
	for i, b := range baseline {
		d := model[i] - b
		switch {
		case math.IsNaN(d):
			continue
		case d > 0:
			c.Better++
		case d < 0:
			c.Worse++
		default:
			c.Equal++
		}
		differences = append(differences, d)
	}
	c.Rows, c.Difference, c.P = len(differences), Mean(differences), 1
	if c.Rows == 0 {
		return c, nil
	}
	c.Interval = MeanInterval(differences, opts)
	c.P = signFlips(differences, opts.withDefaults())
	return c, nil
}

// signFlips exchanges baseline and model in random rows. If the models do not
// differ, every resulting sum of differences is equally likely.
func signFlips(differences []float64, opts Options) float64 {
	sum := 0.0
	for _, d := range differences {
		sum += d
	}
	// Sums of the same numbers with other signs differ in their last bits.
	atLeast := math.Abs(sum) - 1e-9*(1+math.Abs(sum))
	random := opts.random()
	hits := 1 // the measured sum is one of the results
	for range opts.Samples {
		flipped := 0.0
		for start := 0; start < len(differences); start += 64 {
			coins := random.Uint64()
			for _, d := range differences[start:min(start+64, len(differences))] {
				if coins&1 == 1 {
					d = -d
				}
				flipped += d
				coins >>= 1
			}
		}
		if math.Abs(flipped) >= atLeast {
			hits++
		}
	}
	return float64(hits) / float64(opts.Samples+1)
}

func percentiles(results []float64, level float64) Interval {
	slices.Sort(results)
	tail := (1 - level) / 2
	return Interval{Low: quantile(results, tail), High: quantile(results, 1-tail)}
}
