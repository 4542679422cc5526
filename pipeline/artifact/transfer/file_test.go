package transfer

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/artifact"
)

func TestPutFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := filepath.Join(writeDir(t, map[string]string{"file": "content"}), "file")
	ref, err := f.PutFile(t.Context(), "k", "text/plain", path)
	if err != nil || ref != f.put(t, "k", "content") {
		t.Errorf("put file: %+v, %v", ref, err)
	}
	if _, err := f.PutFile(t.Context(), "k2", "text/plain", path+"2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("put of a missing file: %v", err)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ref := f.put(t, "k", "content")
	target := filepath.Join(t.TempDir(), "new", "folder", "file")
	if err := f.Fetch(t.Context(), ref, target); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("coNtent"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Fetch(t.Context(), ref, target); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, []byte("content")) {
		t.Errorf("a file with other content was not replaced: %q, %v", got, err)
	}
	// Without the object only the verified file can answer.
	if err := os.Remove(filepath.Join(f.storeDir, "k")); err != nil {
		t.Fatal(err)
	}
	if err := f.Fetch(t.Context(), ref, target); err != nil {
		t.Errorf("a verified file was not reused: %v", err)
	}
	if err := f.Fetch(t.Context(), ref, target+"2"); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("fetch of a missing object: %v", err)
	}
}

func TestFetchOfDamagedArtifact(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 10_000)
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			ref := f.put(t, "a/k", content)
			if err := os.WriteFile(filepath.Join(f.storeDir, "a", "k"), damage([]byte(content)), 0o644); err != nil {
				t.Fatal(err)
			}
			target := filepath.Join(t.TempDir(), "target")
			err := f.Fetch(t.Context(), ref, target)
			if corrupt, ok := errors.AsType[*artifact.CorruptError](err); !ok || corrupt.Key != "a/k" {
				t.Errorf("fetch: %v, want a CorruptError", err)
			}
			if left, err := os.ReadDir(filepath.Dir(target)); err != nil || len(left) != 0 {
				t.Errorf("fetch left %v, %v", left, err)
			}
		})
	}
}

// TestFetchChecksTheReferenceFirst: a file that is there already is no reason
// to accept a reference of another store.
func TestFetchChecksTheReferenceFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ref := f.put(t, "k", "content")
	target := filepath.Join(t.TempDir(), "file")
	if err := f.Fetch(t.Context(), ref, target); err != nil {
		t.Fatal(err)
	}
	ref.Store = "another"
	err := f.Fetch(t.Context(), ref, target)
	if _, wrong := errors.AsType[*artifact.WrongStoreError](err); !wrong {
		t.Errorf("fetch: %v, want a WrongStoreError", err)
	}
}
