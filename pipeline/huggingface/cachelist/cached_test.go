package cachelist_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/huggingface/cachelist"
)

// TestList: each commit of the cache is listed with its size and the time of its
// last use, also what a killed process left half removed; nothing else is.
func TestList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if all, err := cachelist.List(t.Context(), filepath.Join(dir, "none")); err != nil || len(all) != 0 {
		t.Errorf("of no folder: %v, %v", all, err)
	}
	commit := strings.Repeat("a", 40)
	old := time.Now().Add(-48 * time.Hour)
	for name, text := range map[string]string{
		"models/owner--name/" + commit + "/model.safetensors": "weights",
		"models/owner--name/" + commit + "/.complete":         "1",
		"models/owner--name/refs/main":                        commit,
		"datasets/o--d/.removing-" + commit + "/part.parquet": "rows",
		"datasets/o--d/notes.txt":                             "of a person",
		"datasets/o--d/of a person/" + commit + "/rows.jsonl": "rows",
		"elsewhere/o--d/" + commit + "/rows.jsonl":            "rows",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	all, err := cachelist.List(t.Context(), dir)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if one := all[0]; one.Repository != "model owner/name" || one.Commit != commit || one.Bytes != 8 {
		t.Errorf("%+v", one)
	}
	if one := all[1]; one.Repository != "dataset o/d" || one.Commit != commit || one.Bytes != 4 {
		t.Errorf("%+v", one)
	}
	for _, one := range all {
		if err := one.Remove(); err != nil {
			t.Error(err)
		}
	}
	if all, err := cachelist.List(t.Context(), dir); err != nil || len(all) != 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
	for _, stays := range []string{"models/owner--name/refs/main", "datasets/o--d/notes.txt", "elsewhere/o--d/" + commit} {
		if _, err := os.Stat(filepath.Join(dir, stays)); err != nil {
			t.Error(err)
		}
	}
}
