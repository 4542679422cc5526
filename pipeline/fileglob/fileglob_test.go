package fileglob_test

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/pipeline/fileglob"
)

func TestIn(t *testing.T) {
	for _, name := range []string{"plain", "p[1]", "a*b?", `back\slash`, "[", "{x,y}"} {
		folder := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(filepath.Join(folder, "run"), 0o700); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, file := range []string{"b.json", "run/.tmp-1", "a.json"} {
			if err := os.WriteFile(filepath.Join(folder, file), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want = []string{filepath.Join(folder, "a.json"), filepath.Join(folder, "b.json")}
		if got, err := fileglob.In(folder, "*.json"); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
		if got, err := fileglob.In(folder, "*/.tmp-*"); err != nil || !slices.Equal(got, []string{filepath.Join(folder, "run", ".tmp-1")}) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := fileglob.In(filepath.Join(t.TempDir(), "none"), "*"); err != nil || len(got) > 0 {
		t.Errorf("no folder: %q, %v", got, err)
	}
	if _, err := fileglob.In(t.TempDir(), "["); !errors.Is(err, path.ErrBadPattern) {
		t.Errorf("a broken pattern: %v", err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("here", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := fileglob.In("", "he*"); err != nil || !slices.Equal(got, []string{"here"}) {
		t.Errorf("the working folder: %q, %v", got, err)
	}
}
