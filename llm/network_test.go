package llm

import (
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also sees that neither training nor generation leaves a goroutine
// behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWeightsAreKept: a second call finds the packed weights of the first,
// unless they were changed meanwhile.
func TestWeightsAreKept(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	use := func() [][]int32 {
		return answers(t, m, [][]int32{{1, 2}, {3}}, GenerateConfig{MaxNewTokens: 4})
	}
	first := use()
	packed := m.decodes
	if again := use(); !slices.EqualFunc(first, again, slices.Equal[[]int32]) || m.decodes != packed {
		t.Errorf("answers %v, then %v", first, again)
	}
	steps(t, m, TrainConfig{BatchSize: 2, Epochs: 5, LearningRate: 0.1, Seed: 1})
	if changed := use(); slices.EqualFunc(first, changed, slices.Equal[[]int32]) {
		t.Errorf("answers %v before and after a training", first)
	}
}

// TestAnotherAdapterCounts, although packed weights are kept.
func TestAnotherAdapterCounts(t *testing.T) {
	t.Parallel()
	m, other := small(t, nil), small(t, &LoRAConfig{Rank: 2, Alpha: 40, Seed: 9})
	dir := t.TempDir()
	if err := other.SaveAdapter(dir, ""); err != nil {
		t.Fatal(err)
	}
	prompts, cfg := [][]int32{{1, 2}, {3}}, GenerateConfig{MaxNewTokens: 8}
	answers(t, m, prompts, cfg)
	if err := m.AttachLoRA(LoRAConfig{Rank: 2, Alpha: 4}); err != nil {
		t.Fatal(err)
	}
	answers(t, m, prompts, cfg)
	if err := m.LoadAdapter(dir); err != nil {
		t.Fatal(err)
	}
	ref := newReference(m)
	for i, got := range answers(t, m, prompts, cfg) {
		if want := ref.greedy(prompts[i], 8); !slices.Equal(got, want) {
			t.Errorf("prompt %d: %v with the loaded adapter, the reference %v", i, got, want)
		}
	}
}
