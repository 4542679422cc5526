package scratch

import (
	"os"
	"path/filepath"
	"strings"
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

// TestPrepare: a missing folder is made and stays empty. One that cannot be made, or that
// cannot hold folders, is named with what to do.
func TestPrepare(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // made, and found
		if err := Prepare(dir); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := []string{file, filepath.Join(file, "below")}
	if os.Geteuid() != 0 { // who may write everywhere
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		bad = append(bad, locked)
	}
	for _, parent := range bad {
		err := Prepare(parent)
		if err == nil || !strings.Contains(err.Error(), "the scratch folder "+parent+" cannot be used: ") || !strings.Contains(err.Error(), "TUNEBUS_DATA_SCRATCH") {
			t.Errorf("%s: %v", parent, err)
		}
	}
}
