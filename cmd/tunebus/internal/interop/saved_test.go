//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/llm"
)

// TestSavedFamilies: a whole model that the built-in engine saves is loaded by
// transformers, for each family, and is the model that it was.
func TestSavedFamilies(t *testing.T) {
	root := filepath.Join(clitest.Root(), "llm", "testdata", "families")
	families, err := os.ReadDir(root)
	if err != nil || len(families) < 10 {
		t.Fatalf("%d families, %v", len(families), err)
	}
	pairs := map[string][]string{}
	for _, f := range families {
		from, to := filepath.Join(root, f.Name()), filepath.Join(t.TempDir(), f.Name())
		m, err := llm.Open(from)
		if err == nil {
			err = m.Save(to, "float32")
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name(), err)
		}
		pairs[f.Name()] = []string{from, to}
	}
	got := map[string]float64{}
	python(t, "saved.py", map[string]any{"pairs": pairs}, &got)
	for name := range pairs {
		if difference, ok := got[name]; !ok || difference > 1e-6 {
			t.Errorf("%s: the scores differ by %g", name, difference)
		}
	}
}
