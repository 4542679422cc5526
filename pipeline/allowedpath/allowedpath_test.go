package allowedpath_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/pipeline/allowedpath"
)

func TestFind(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	allowed, second, outside := filepath.Join(base, "allowed"), filepath.Join(base, "second"), filepath.Join(base, "outside")
	for _, dir := range []string{filepath.Join(allowed, "in"), second, outside, allowed + "-not"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{filepath.Join(allowed, "in", "a"), filepath.Join(second, "b"), filepath.Join(outside, "secret"), filepath.Join(allowed+"-not", "secret")} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		filepath.Join(allowed, "escape"):       outside,
		filepath.Join(allowed, "secret-link"):  filepath.Join(outside, "secret"),
		filepath.Join(allowed, "link"):         filepath.Join(allowed, "in"),
		filepath.Join(allowed, "loop"):         filepath.Join(allowed, "loop"),
		filepath.Join(outside, "back-inside"):  filepath.Join(allowed, "in", "a"),
		filepath.Join(base, "allowed-by-link"): allowed,
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	here := []string{filepath.Join(base, "none"), allowed, second}
	for _, c := range []struct {
		name string
		in   []string
		want string // "" is outside
	}{
		{"in/a", here, filepath.Join(allowed, "in", "a")},
		{filepath.Join(allowed, "in", "a"), here, filepath.Join(allowed, "in", "a")},
		{"b", here, filepath.Join(second, "b")},
		{"link/a", here, filepath.Join(allowed, "in", "a")},
		{".", here, allowed},
		{filepath.Join(outside, "back-inside"), here, filepath.Join(allowed, "in", "a")},
		{"in/a", []string{filepath.Join(base, "allowed-by-link")}, filepath.Join(allowed, "in", "a")},
		{"../outside/secret", here, ""},
		{"in/../../outside/secret", here, ""},
		{"escape/secret", here, ""},
		{"secret-link", here, ""},
		{"loop", here, ""},
		{"missing", here, ""},
		{"", nil, ""},
		{"in/a", nil, ""},
		{filepath.Join(outside, "secret"), here, ""},
		{filepath.Join(allowed+"-not", "secret"), here, ""},
		{"/etc/passwd", here, ""},
		{"in/a\x00", here, ""},
	} {
		got, err := allowedpath.Find(c.in, c.name)
		if c.want == "" {
			if !errors.Is(err, allowedpath.ErrOutside) {
				t.Errorf("Find(%q) = %q, %v; want it to be outside", c.name, got, err)
			}
		} else if err != nil || got != c.want {
			t.Errorf("Find(%q) = %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}

func TestFindNew(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	allowed, outside := filepath.Join(base, "allowed"), filepath.Join(base, "outside")
	for _, dir := range []string{filepath.Join(allowed, "in"), outside} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		filepath.Join(allowed, "escape"):  outside,
		filepath.Join(allowed, "nowhere"): filepath.Join(outside, "made"),
		filepath.Join(allowed, "link"):    filepath.Join(allowed, "in"),
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(allowed, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"in":                               filepath.Join(allowed, "in"),
		"new":                              filepath.Join(allowed, "new"),
		"new/and/deeper":                   filepath.Join(allowed, "new", "and", "deeper"),
		"link/new":                         filepath.Join(allowed, "in", "new"),
		filepath.Join(allowed, "new"):      filepath.Join(allowed, "new"),
		"in/../new":                        filepath.Join(allowed, "new"),
		"escape":                           "",
		"escape/new":                       "",
		"nowhere":                          "",
		"nowhere/new":                      "",
		"file/new":                         "",
		"../outside/new":                   "",
		"in/../../outside/new":             "",
		filepath.Join(outside, "new"):      "",
		filepath.Join(base, "allowed-not"): "",
		"/etc/new":                         "",
	} {
		got, err := allowedpath.FindNew([]string{filepath.Join(base, "none"), allowed}, name)
		if want == "" {
			if !errors.Is(err, allowedpath.ErrOutside) {
				t.Errorf("FindNew(%q) = %q, %v; want it to be outside", name, got, err)
			}
		} else if err != nil || got != want {
			t.Errorf("FindNew(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	if got, err := allowedpath.FindNew(nil, allowed); !errors.Is(err, allowedpath.ErrOutside) {
		t.Errorf("without roots: %q, %v", got, err)
	}
}

// TestRelativeRoots does not run in parallel, because it changes the working folder.
func TestRelativeRoots(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.MkdirAll("data/in", 0o755); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, "data", "in")
	for _, name := range []string{"in", want} {
		for what, find := range map[string]func([]string, string) (string, error){"Find": allowedpath.Find, "FindNew": allowedpath.FindNew} {
			if got, err := find([]string{"data"}, name); err != nil || got != want {
				t.Errorf("%s(%q) = %q, %v; want %q", what, name, got, err, want)
			}
		}
	}
}
