package llm

import (
	"slices"
	"testing"
)

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
