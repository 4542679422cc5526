package llm

import (
	"math"
	"math/rand/v2"
	"slices"
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
		cfg  GenerateConfig
		want []float64
	}{
		"all":         {GenerateConfig{Temperature: 1}, []float64{0.125, 0.5, 0.0625, 0.25, 0.0625}},
		"top_k 2":     {GenerateConfig{Temperature: 1, TopK: 2}, []float64{0, 2. / 3, 0, 1. / 3, 0}},
		"top_k 99":    {GenerateConfig{Temperature: 1, TopK: 99}, []float64{0.125, 0.5, 0.0625, 0.25, 0.0625}},
		"top_p 0.8":   {GenerateConfig{Temperature: 1, TopP: 0.8}, []float64{1. / 7, 4. / 7, 0, 2. / 7, 0}},
		"top_p tiny":  {GenerateConfig{Temperature: 1, TopP: 0.01}, []float64{0, 1, 0, 0, 0}},
		"min_p 0.2":   {GenerateConfig{Temperature: 1, MinP: 0.2}, []float64{1. / 7, 4. / 7, 0, 2. / 7, 0}},
		"min_p 0.3":   {GenerateConfig{Temperature: 1, MinP: 0.3}, []float64{0, 2. / 3, 0, 1. / 3, 0}},
		"hot":         {GenerateConfig{Temperature: 2, TopK: 2}, []float64{0, math.Sqrt2 / (1 + math.Sqrt2), 0, 1 / (1 + math.Sqrt2), 0}},
		"cold":        {GenerateConfig{Temperature: 0.5, TopK: 2}, []float64{0, 0.8, 0, 0.2, 0}},
		"greedy":      {GenerateConfig{}, []float64{0, 1, 0, 0, 0}},
		"k, then p":   {GenerateConfig{Temperature: 1, TopK: 3, TopP: 0.6}, []float64{0, 2. / 3, 0, 1. / 3, 0}},
		"p, then min": {GenerateConfig{Temperature: 1, TopP: 0.8, MinP: 0.6}, []float64{0, 1, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const draws = 40000
			rng := rand.New(rand.NewPCG(1, 2))
			counts := make([]int, 5)
			for range draws {
				counts[choose(logits, c.cfg, rng)]++
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

func answers(t *testing.T, m *Model, prompts [][]int32, cfg GenerateConfig) [][]int32 {
	t.Helper()
	out := make([][]int32, len(prompts))
	if err := m.Generate(t.Context(), prompts, cfg, func(i int, ids []int32) error {
		out[i] = ids
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSeedDecides: the same seed gives the same answers in any batch.
func TestSeedDecides(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	prompts := [][]int32{{1, 2}, {3}, {4, 5, 6}}
	cfg := GenerateConfig{MaxNewTokens: 12, Temperature: 1, Seed: 5, BatchSize: 3}
	first := answers(t, m, prompts, cfg)
	cfg.BatchSize = 1
	if alone := answers(t, m, prompts, cfg); !slices.EqualFunc(first, alone, slices.Equal[[]int32]) {
		t.Errorf("in a batch %v, alone %v", first, alone)
	}
	cfg.Seed = 6
	if other := answers(t, m, prompts, cfg); slices.EqualFunc(first, other, slices.Equal[[]int32]) {
		t.Error("another seed gives the same answers")
	}
}

// TestAnswersEnd at the first end token, which is no part of them, and at
// max_new_tokens.
func TestAnswersEnd(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	prompts := [][]int32{{1, 2}, {3}, {4, 5, 6}}
	whole := answers(t, m, prompts, GenerateConfig{MaxNewTokens: 9, Temperature: 1, Seed: 5})
	for i, ids := range whole {
		if len(ids) != 9 {
			t.Errorf("prompt %d: %d tokens, want 9", i, len(ids))
		}
	}
	end := whole[0][4]
	for i, ids := range answers(t, m, prompts, GenerateConfig{MaxNewTokens: 9, Temperature: 1, Seed: 5, EOS: []int32{end}}) {
		want := whole[i]
		if at := slices.Index(want, end); at >= 0 {
			want = want[:at]
		}
		if !slices.Equal(ids, want) {
			t.Errorf("prompt %d: %v, want %v", i, ids, want)
		}
	}
	for i, ids := range answers(t, m, prompts, GenerateConfig{MaxNewTokens: 0}) {
		if len(ids) != 0 {
			t.Errorf("prompt %d: %v, want nothing", i, ids)
		}
	}
}
