package trainerenv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fake makes a folder that looks like an environment, but for its file.
func fake(t *testing.T, folder string) {
	t.Helper()
	trainer := filepath.Join(folder, "lib", "python3.11", "site-packages", module)
	for _, dir := range []string{trainer, filepath.Join(folder, "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{filepath.Join(trainer, "__main__.py"), Interpreter(folder)} {
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFind: an environment is found in the data folder, then in the shared one; what is
// half made never is, and what is damaged says so.
func TestFind(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", filepath.Join(data, "share"))
	shared, err := Shared("trl")
	if err != nil || shared != filepath.Join(data, "share", "tunebus", "engines", "trl") {
		t.Fatal(shared, err)
	}
	local := filepath.Join(data, "engines", "trl")
	_, err = Find(data, "trl")
	if _, ok := errors.AsType[*MissingError](err); !ok || !strings.Contains(err.Error(), `"tunebus engine install trl"`) || !strings.Contains(err.Error(), local) {
		t.Errorf("without one: %v", err)
	}
	fake(t, shared)
	if _, err := Open(shared, "trl"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half made: %v", err)
	}
	for _, folder := range []string{shared, local} {
		fake(t, folder)
		if err := Finish(Environment{Folder: folder, Engine: "trl", Python: "3.11.7"}); err != nil {
			t.Fatal(err)
		}
		e, err := Find(data, "trl")
		if err != nil || e.Folder != folder || e.Python != "3.11.7" {
			t.Errorf("%+v: %v", e, err)
		}
		if want := []string{folder + "/bin/python", "-m", "tunebus_trainer", "--engine", "trl"}; !slices.Equal(e.Command(), want) {
			t.Errorf("the command is %q", e.Command())
		}
	}
	broken := func(why string) {
		t.Helper()
		_, err := Open(local, "trl")
		if _, ok := errors.AsType[*BrokenError](err); !ok || !strings.Contains(err.Error(), why) {
			t.Errorf("want %q, got %v", why, err)
		}
	}
	if _, err := Open(local, "unsloth"); err == nil || !strings.Contains(err.Error(), `one of the engine "trl"`) {
		t.Errorf("of another engine: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(local, "lib")); err != nil {
		t.Fatal(err)
	}
	broken("its trainer is gone")
	if err := os.Remove(Interpreter(local)); err != nil {
		t.Fatal(err)
	}
	broken("is gone; it was removed or updated")
	if err := os.WriteFile(filepath.Join(local, FileName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken("is damaged")
	if e, err := Find(data, "trl"); err != nil || e.Folder != shared {
		t.Errorf("beside a damaged one: %+v, %v", e, err)
	}
}
