package manifest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// FuzzRead: whatever a manifest holds, it is refused, or its files can lie in one
// folder and have keys beside the manifest's.
func FuzzRead(f *testing.F) {
	sum := strings.Repeat("0", 64)
	for _, text := range []string{
		`{"files":[{"path":"a/b","size":1,"sha256":"` + sum + `"},{"path":"c","size":0,"sha256":"` + sum + `"}]}`,
		`{"files":[{"path":"../a","size":1,"sha256":"` + sum + `"}]}`,
		`{"files":[{"path":"a","size":1,"sha256":"../../x"}]}`,
		`{"files":null}`, `[]`, `{`, "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		folder := events.Reference{Store: "s", Key: "runs/r/finetune/1/model/" + Name}
		dir := filepath.Join(string(filepath.Separator), "folder")
		var paths []string
		for _, file := range m.Files {
			path := filepath.Join(dir, filepath.FromSlash(file.Path))
			if !strings.HasPrefix(path, dir+string(filepath.Separator)) || slices.Contains(paths, path) {
				t.Errorf("%q is the file %s", file.Path, path)
			}
			paths = append(paths, path)
			if ref := m.Reference(folder, file); ref.Key != "runs/r/finetune/1/model/"+file.SHA256 || strings.Count(ref.Key, "/") != 5 || ref.Size < 0 {
				t.Errorf("%q has the reference %+v", file.Path, ref)
			}
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if twin, err := Read(bytes.NewReader(again)); err != nil || !slices.Equal(twin.Files, m.Files) {
			t.Errorf("written and read again: %+v, %v", twin, err)
		}
	})
}

// TestOf: the manifest depends only on the names and contents of the files, and a
// digest ends with its context.
func TestOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.b": "1", "a/b": "2", "z": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	ctx := Watch(t.Context(), func(path string, _, _ int64) { seen = append(seen, filepath.Base(path)) })
	m, err := Of(ctx, dir, Digest)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range m.Files {
		paths = append(paths, f.Path)
	}
	if !slices.Equal(paths, []string{"a.b", "a/b", "z"}) || m.Bytes() != 2 || !slices.Contains(seen, "a.b") {
		t.Errorf("%+v, of which %q were watched", m, seen)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Digest(ended, filepath.Join(dir, "z")); !errors.Is(err, context.Canceled) {
		t.Errorf("a digest after the end of its context: %v", err)
	}
}
