package llm

import (
	"maps"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain also sees that neither training nor generation leaves a goroutine
// behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGraphsAreKept: a second call finds the graphs of the first, compiled.
func TestGraphsAreKept(t *testing.T) {
	t.Parallel()
	m := small(t, nil)
	use := func() [][]int32 {
		steps(t, m, TrainConfig{BatchSize: 2, Epochs: 2, Seed: 1}) // rate 0: nothing is learned
		return answers(t, m, [][]int32{{1, 2}, {3}}, GenerateConfig{MaxNewTokens: 4})
	}
	first := use()
	before := maps.Clone(m.device.graphs)
	if again := use(); !slices.EqualFunc(first, again, slices.Equal[[]int32]) {
		t.Errorf("answers %v, then %v", first, again)
	}
	if len(before) == 0 || !maps.Equal(before, m.device.graphs) {
		t.Errorf("graphs %v became %v", before, m.device.graphs)
	}
}

// TestAnotherAdapterCounts, although graphs are kept.
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
