package examplefile_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/examplefile"
)

var _ llm.Examples = (*examplefile.File)(nil)

// TestExamplesComeBack: what was written is read, in any order.
func TestExamplesComeBack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var want llm.InMemory
	for n := range 40 {
		e := llm.Example{IDs: make([]int32, n), Count: make([]bool, n)}
		for i := range n {
			e.IDs[i], e.Count[i] = random.Int32(), random.IntN(2) == 0
		}
		want = append(want, e)
	}
	w, err := examplefile.Create(filepath.Join(t.TempDir(), "tokens"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range want {
		if err := w.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Examples()
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if got.Len() != want.Len() {
		t.Fatalf("%d examples", got.Len())
	}
	for _, i := range random.Perm(len(want)) {
		e, err := got.Example(i)
		if err != nil || !slices.Equal(e.IDs, want[i].IDs) || !slices.Equal(e.Count, want[i].Count) {
			t.Errorf("example %d: %v, %v; want %v", i, e, err, want[i])
		}
		all, counted := got.Tokens(i)
		if wantAll, wantCounted := want.Tokens(i); all != wantAll || counted != wantCounted {
			t.Errorf("example %d has %d tokens of which %d count, want %d and %d", i, all, counted, wantAll, wantCounted)
		}
	}
	if err := got.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := got.Example(1); err == nil {
		t.Error("a closed file is read")
	}
}
