package sampling

import (
	"math"
	"testing"
)

// TestChooseFollowsTheDistribution draws often and compares the shares with
// probabilities worked out by hand: those of the logits are 0.5, 0.25, 0.125,
// 0.0625 and 0.0625.
func TestChooseFollowsTheDistribution(t *testing.T) {
	t.Parallel()
	logits := make([]float32, 5)
	for i, p := range []float64{0.125, 0.5, 0.0625, 0.25, 0.0625} {
		logits[i] = float32(math.Log(p))
	}
	for name, c := range map[string]struct {
		cfg  Config
		want []float64
	}{
		"all":         {Config{Temperature: 1}, []float64{0.125, 0.5, 0.0625, 0.25, 0.0625}},
		"top_k 2":     {Config{Temperature: 1, TopK: 2}, []float64{0, 2. / 3, 0, 1. / 3, 0}},
		"top_k 99":    {Config{Temperature: 1, TopK: 99}, []float64{0.125, 0.5, 0.0625, 0.25, 0.0625}},
		"top_p 0.8":   {Config{Temperature: 1, TopP: 0.8}, []float64{1. / 7, 4. / 7, 0, 2. / 7, 0}},
		"top_p tiny":  {Config{Temperature: 1, TopP: 0.01}, []float64{0, 1, 0, 0, 0}},
		"min_p 0.2":   {Config{Temperature: 1, MinP: 0.2}, []float64{1. / 7, 4. / 7, 0, 2. / 7, 0}},
		"min_p 0.3":   {Config{Temperature: 1, MinP: 0.3}, []float64{0, 2. / 3, 0, 1. / 3, 0}},
		"hot":         {Config{Temperature: 2, TopK: 2}, []float64{0, math.Sqrt2 / (1 + math.Sqrt2), 0, 1 / (1 + math.Sqrt2), 0}},
		"cold":        {Config{Temperature: 0.5, TopK: 2}, []float64{0, 0.8, 0, 0.2, 0}},
		"greedy":      {Config{}, []float64{0, 1, 0, 0, 0}},
		"k, then p":   {Config{Temperature: 1, TopK: 3, TopP: 0.6}, []float64{0, 2. / 3, 0, 1. / 3, 0}},
		"p, then min": {Config{Temperature: 1, TopP: 0.8, MinP: 0.6}, []float64{0, 1, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const draws = 40000
			c.cfg.Seed, c.cfg.Stream = 1, 2
			s, w := New(c.cfg, len(logits)), Scratch{}
			counts := make([]int, 5)
			for range draws {
				counts[s.Choose(&w, logits)]++
			}
			for i, p := range c.want {
				// Five standard deviations; a share of 0 or 1 is exact.
				if got := float64(counts[i]) / draws; math.Abs(got-p) > 5*math.Sqrt(p*(1-p)/draws)+1e-9 {
					t.Errorf("token %d: %.4f of the draws, want %.4f", i, got, p)
				}
			}
		})
	}
}

// TestNearlyGreedy: the colder it is, the surer is the likeliest token, down to the smallest
// numbers that there are, and a large vocabulary of large logits takes nothing away.
func TestNearlyGreedy(t *testing.T) {
	t.Parallel()
	logits := make([]float32, 1434)
	for i := range logits {
		logits[i] = float32(i*7919%1434)/100 - 3
	}
	const best = 77
	logits[best] = 20.0625
	for _, temperature := range []float64{0.1, 1e-3, 1e-8, 3e-9, 1e-9, 1e-12, 1e-30, 1e-40, 1e-300, math.SmallestNonzeroFloat64} {
		for _, cfg := range []Config{{}, {TopK: 50}, {TopP: 0.9}, {MinP: 0.1}, {TopK: 20, TopP: 0.5, MinP: 0.3}, {RepetitionPenalty: 0.01}, {RepetitionPenalty: 100}} {
			cfg.Temperature = temperature
			if err := cfg.Check(); err != nil {
				t.Fatal(err)
			}
			s, w := New(cfg, len(logits)), Scratch{}
			for draw := range 20 {
				if id := s.Choose(&w, logits); id != best {
					t.Fatalf("%+v, draw %d: token %d", cfg, draw, id)
				}
			}
		}
	}
	// With a temperature beyond all logits each token is as likely.
	counts := map[int32]int{}
	s, w := New(Config{Temperature: 1e300}, 4), Scratch{}
	for range 4000 {
		counts[s.Choose(&w, []float32{1, 900, -900, 3})]++
	}
	for id, n := range counts {
		if n < 850 || n > 1150 {
			t.Errorf("token %d was chosen %d times of 4000", id, n)
		}
	}
}

// TestPenaltyBounds: what makes logits that are no numbers is refused.
func TestPenaltyBounds(t *testing.T) {
	t.Parallel()
	for penalty, ok := range map[float64]bool{0: true, 1: true, 0.01: true, 100: true, 1e-300: false, 0.009: false, 100.1: false, 1e300: false, -1: false, math.NaN(): false, math.Inf(1): false} {
		if err := (Config{RepetitionPenalty: penalty}).Check(); (err == nil) != ok {
			t.Errorf("%v: %v", penalty, err)
		}
	}
}
