package structconf_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestReadFileRefusesWhatNeverEnds: a device or a pipe is no file of a configuration.
func TestReadFileRefusesWhatNeverEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "file.toml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", pipe} {
		if _, err := structconf.ReadFile(path); err == nil || !strings.Contains(err.Error(), "write its content to a file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := os.WriteFile(file, []byte("a = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if body, err := structconf.ReadFile(file); err != nil || string(body) != "a = 1" {
		t.Errorf("%q, %v", body, err)
	}
}
