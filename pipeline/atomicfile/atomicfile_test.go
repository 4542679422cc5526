package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "folder", "file")
	broken := errors.New("broken")
	for _, opt := range []Options{{Sync: true, Perm: 0o640}, {TempDir: dir, TempPattern: ".other-*", Perm: 0o640}} {
		if err := errors.Join(Write(path, text("old"), opt), Write(path, text("new"), opt)); err != nil {
			t.Fatal(err)
		}
		err := Write(path, func(w io.Writer) error { return errors.Join(text("half")(w), broken) }, opt)
		if !errors.Is(err, broken) || err.Error() != "broken" {
			t.Errorf("error %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "new" {
			t.Errorf("content %q, %v", got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestErrorsNameTheFile: no error has the name of a temporary file, which is another one at
// each try.
func TestErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, folder := filepath.Join(dir, "from"), filepath.Join(dir, "folder")
	path := filepath.Join(dir, "file")
	if err := errors.Join(os.MkdirAll(filepath.Join(folder, "full"), 0o755), os.WriteFile(from, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		got  error
		want string
	}{
		"no folder":    {Write(path, text(""), Options{TempDir: filepath.Join(dir, "none")}), "create " + path + ": no such file or directory"},
		"half written": {Write(path, func(w io.Writer) error { return errors.Join(w.(io.Closer).Close(), text("x")(w)) }, Options{}), "write " + path + ": file already closed"},
		"no place":     {Write(folder, text(""), Options{}), "replace " + folder + ": file exists"},
		"another file": {Write(path, func(io.Writer) error { _, err := os.Open(folder + "/gone"); return err }, Options{}), "open " + folder + "/gone: no such file or directory"},
		"no temporary": {Link(from, path, filepath.Join(dir, "none")), "create " + path + ": no such file or directory"},
		"no link":      {Link(filepath.Join(dir, "gone"), path, dir), "link " + path + ": link " + filepath.Join(dir, "gone") + " " + path + ": no such file or directory"},
	} {
		if c.got == nil || c.got.Error() != c.want || strings.Contains(c.got.Error(), ".tmp-") {
			t.Errorf("%s: %v, want %s", name, c.got, c.want)
		}
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file: %v", err)
	}
}

func TestRemoveTemps(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "of [odd] name")
	if err := RemoveTemps(dir); err != nil {
		t.Errorf("a folder that does not exist: %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.CreateTemp(dir, TempPattern)
	if err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, ".tmp-folder")
	if err = os.Mkdir(sub, 0o755); err == nil {
		err = errors.Join(file.Close(), os.WriteFile(filepath.Join(sub, "x"), nil, 0o600), os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveTemps(dir); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file.json")
	if err := Write(path, JSON(map[string]string{"a": "<b>"}), Options{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "{\n  \"a\": \"<b>\"\n}\n" {
		t.Errorf("content %q, %v", got, err)
	}
}
