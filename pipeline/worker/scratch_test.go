package worker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestScratch: the folder is made when it is first needed and removed with its
// content.
func TestScratch(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	count := func() int {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := scratch{parent: parent, phase: events.Finetune}
	if err := s.remove(); err != nil || count() != 0 {
		t.Errorf("removed what was never made: %v, %d entries", err, count())
	}
	a, err := s.Path("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Path("b")
	if err != nil || filepath.Dir(a) != filepath.Dir(b) || count() != 1 {
		t.Errorf("%s and %s: %v", a, b, err)
	}
	if err := os.WriteFile(a, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.remove(); err != nil || count() != 0 {
		t.Errorf("left: %v, %d entries", err, count())
	}
	if _, err := (&scratch{parent: filepath.Join(parent, "none")}).Path("x"); err == nil {
		t.Error("a folder in a folder that is not there")
	}
}
