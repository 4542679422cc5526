package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	tests := []struct {
		name   string
		values []float64
		want   Summary
	}{
		{"nothing", nil, Summary{}},
		{"no score", []float64{nan, nan}, Summary{}},
		{"one", []float64{0.5}, Summary{1, 0.5, 0, 0.5, 0.5, 0.5, 0.5, 0.5}},
		{"even number", []float64{4, 1, 3, 2}, Summary{4, 2.5, math.Sqrt(5.0 / 3), 1, 1.75, 2.5, 3.25, 4}},
		{"without a score", []float64{nan, 3, 1, nan, 2}, Summary{3, 2, 1, 1, 1.5, 2, 2.5, 3}},
	}
	for _, tt := range tests {
		before := slices.Clone(tt.values)
		if got := Summarize(tt.values); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
		if !slices.EqualFunc(before, tt.values, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			t.Errorf("%s: the values were changed", tt.name)
		}
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	h, err := NewHistogram(0, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 11 { // every edge begins a bin, the last one ends the last
		h.Add(float64(i) / 10)
	}
	h.Add(-0.1, 1.0000001, math.NaN(), math.Inf(1), math.Nextafter(0.3, 0))
	if want := []int{1, 1, 2, 1, 1, 1, 1, 1, 1, 2}; !slices.Equal(h.Counts, want) || h.Outside != 3 {
		t.Errorf("got %v and %d outside, want %v and 3", h.Counts, h.Outside, want)
	}
	if edges := h.Edges(); len(edges) != 11 || edges[0] != 0 || edges[10] != 1 {
		t.Errorf("edges are %v", edges)
	}
	for _, bad := range []struct {
		low, high float64
		bins      int
	}{{1, 1, 3}, {0, math.NaN(), 3}, {0, math.Inf(1), 3}, {0, 1, 0}} {
		if _, err := NewHistogram(bad.low, bad.high, bad.bins); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestHistogramCountsEveryValueBetweenItsEdges(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, bins := range []int{1, 3, 7, 20, 49} {
		low := random.Float64() - 0.5
		h, err := NewHistogram(low, low+random.Float64()*3+0.1, bins)
		if err != nil {
			t.Fatal(err)
		}
		edges := h.Edges()
		for range 2000 {
			v := h.Low + (h.High-h.Low)*random.Float64()
			if random.IntN(4) == 0 {
				v = edges[random.IntN(len(edges))]
			}
			i := h.bin(v)
			if v < edges[i] || v > edges[i+1] || v == edges[i+1] && i+1 < bins {
				t.Fatalf("%v is in bin %d of %v", v, i, edges)
			}
		}
	}
}

func TestMeanIntervalCoversTheMean(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	covered := 0
	const experiments = 300
	for e := range experiments {
		values := make([]float64, 60)
		for i := range values {
			values[i] = random.Float64()
		}
		in := MeanInterval(values, Options{Samples: 400, Seed: uint64(e)})
		if in.Low <= 0.5 && 0.5 <= in.High {
			covered++
		}
	}
	if share := float64(covered) / experiments; share < 0.90 || share > 0.99 {
		t.Errorf("95%% intervals cover the mean in %.3f of the experiments", share)
	}
}

func TestIntervalsRepeatWithTheirSeed(t *testing.T) {
	t.Parallel()
	values := []float64{math.NaN()}
	for i := range 40 {
		values = append(values, math.Sin(float64(i)))
	}
	a := MeanInterval(values, Options{Seed: 1})
	if b := MeanInterval(values, Options{Seed: 1}); a != b {
		t.Errorf("the same seed gives %v and %v", a, b)
	}
	if b := MeanInterval(values, Options{Seed: 2}); a == b {
		t.Errorf("another seed gives %v as well", a)
	}
	if wide := MeanInterval(values, Options{Seed: 1, Level: 0.99}); wide.Low > a.Low || wide.High < a.High {
		t.Errorf("at 99%% the interval is %v, at 95%% %v", wide, a)
	}
	if got := MeanInterval(nil, Options{}); got != (Interval{}) {
		t.Errorf("of nothing it is %v", got)
	}
	if got := MeanInterval([]float64{0.7, 0.7}, Options{}); got != (Interval{0.7, 0.7}) {
		t.Errorf("of equal values it is %v", got)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	baseline := []float64{0, 0.1, 0.2, 0.1, 0, 0.3, nan, 0.2, 0.1, 0, 0.1, 0.5}
	better := []float64{0.9, 0.8, 1, 0.7, 0.8, 0.9, 1, nan, 0.6, 0.8, 0.9, 0.5}
	c, err := Compare(baseline, better, Options{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	if c.Rows != 10 || c.Better != 9 || c.Equal != 1 || c.Worse != 0 {
		t.Errorf("rows are %+v", c)
	}
	if math.Abs(c.Difference-0.65) > 1e-12 || c.Interval.Low < 0.4 || c.Interval.High > 0.9 || c.P > 0.01 || c.P <= 0 {
		t.Errorf("a clear difference is %+v", c)
	}

	same, err := Compare(baseline, baseline, Options{})
	if err != nil || same.P != 1 || same.Difference != 0 {
		t.Errorf("a model against itself is %+v, %v", same, err)
	}
	none, err := Compare(nil, nil, Options{})
	if err != nil || none != (Comparison{P: 1}) {
		t.Errorf("no rows are %+v, %v", none, err)
	}
	if _, err := Compare(baseline, better[:3], Options{}); err == nil {
		t.Error("different rows are compared")
	}
}

func TestChanceIsSeldomSignificant(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6, 7))
	significant := 0
	const experiments = 300
	for e := range experiments {
		a, b := make([]float64, 70), make([]float64, 70)
		for i := range a {
			a[i], b[i] = random.Float64(), random.Float64()
		}
		c, err := Compare(a, b, Options{Samples: 300, Seed: uint64(e)})
		if err != nil {
			t.Fatal(err)
		}
		if c.P <= 0.05 {
			significant++
		}
	}
	if share := float64(significant) / experiments; share > 0.09 {
		t.Errorf("chance is significant in %.3f of the experiments", share)
	}
}
