package modelexport

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk: a full disk is said of the folder that a person named; that of another folder is not.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := target{dir: filepath.Join(dir, "mine\nforged")}
	if err := to.begin(); err != nil {
		t.Fatal(err)
	}
	for path, full := range map[string]bool{
		filepath.Join(to.scratch, "tuned", ".fetch-1", "model.safetensors"): true,
		filepath.Join(dir, "hub", "model.safetensors"):                      false,
	} {
		err := to.end(fmt.Errorf("fetch to %s: %w", path, &fs.PathError{Op: "write", Path: path, Err: syscall.ENOSPC}))
		said := strings.Contains(err.Error(), dir+`/mine\nforged is full: no space left on device; free space on it`)
		if !errors.Is(err, syscall.ENOSPC) || said != full || strings.Contains(err.Error(), path) == full {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// files writes files into a new folder.
func files(t *testing.T, dir string, bodies map[string]string) string {
	t.Helper()
	for name, body := range bodies {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestHalfAnExport: what is left of an export that ended in the middle is no model, and the next
// export goes on.
func TestHalfAnExport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := target{dir: dir, there: dir}
	names := []string{"config.json", "model.safetensors", "tokenizer.json"}
	publish := func(spoil bool) error {
		if err := to.begin(); err != nil {
			t.Fatal(err)
		}
		out := files(t, filepath.Join(to.scratch, "out"), map[string]string{"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "[]"})
		if spoil { // a folder cannot be moved onto a file
			if err := errors.Join(os.Remove(filepath.Join(out, "tokenizer.json")), os.Mkdir(filepath.Join(out, "tokenizer.json"), 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := to.publish(out, names, true)
		return to.end(err)
	}
	if err := publish(false); err != nil {
		t.Fatal(err)
	}
	if err := publish(true); err == nil {
		t.Fatal("want an error")
	}
	if _, err := os.Stat(filepath.Join(dir, "config.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half an export has its configuration: %v", err)
	}
	if err := publish(false); err != nil {
		t.Error(err)
	}
	if list := readList(dir); len(list) != len(names) {
		t.Errorf("%+v", list)
	}
}
