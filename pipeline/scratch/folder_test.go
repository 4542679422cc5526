package scratch

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestFolder: the folder is made when it is first needed and removed with its
// content.
func TestFolder(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	count := func() int {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	f := &Folder{Parent: parent, Phase: events.Finetune}
	if err := f.Remove(); err != nil || count() != 0 {
		t.Errorf("removed what was never made: %v, %d entries", err, count())
	}
	a, err := f.Path("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.Path("b")
	if err != nil || filepath.Dir(a) != filepath.Dir(b) || count() != 1 {
		t.Errorf("%s and %s: %v", a, b, err)
	}
	if err := os.WriteFile(a, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove(); err != nil || count() != 0 {
		t.Errorf("left: %v, %d entries", err, count())
	}
	if _, err := (&Folder{Parent: filepath.Join(parent, "none")}).Path("x"); err == nil {
		t.Error("a folder in a folder that is not there")
	}
}
