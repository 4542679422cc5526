//go:build unix

package regularfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/llm/regularfile"
)

// TestRead: a file and a link to one are read; a folder, a pipe, a device, links to them,
// and what is missing are errors that name it.
func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("text"), 0o600), os.Mkdir(at("folder"), 0o700), syscall.Mkfifo(at("pipe"), 0o600),
		os.Symlink(at("file"), at("link")), os.Symlink(at("pipe"), at("link to a pipe")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{at("file"), at("link")} {
		body, err := regularfile.Read(path)
		if err != nil || string(body) != "text" {
			t.Errorf("%s: %q, %v", path, body, err)
		}
		f, err := regularfile.Open(path)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for path, says := range map[string]string{
		at("folder"): "it is a folder; want a file", at("pipe"): "it is a named pipe; want a regular file", at("link to a pipe"): "it is a named pipe; want a regular file",
		os.DevNull: "it is no regular file", at("missing"): "no such file or directory",
	} {
		_, err := regularfile.Read(path)
		_, second := regularfile.Open(path)
		for _, err := range []error{err, second} {
			if named, ok := errors.AsType[*fs.PathError](err); !ok || named.Path != path || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %q", path, err, says)
			}
		}
	}
}
