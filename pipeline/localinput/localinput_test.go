package localinput

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
)

func open(t *testing.T, data string) *Folder {
	t.Helper()
	f, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// write writes a file that changed long ago, as far as its own time says.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestID: a data folder keeps its id, and another one has another.
func TestID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, again, b := open(t, dir), open(t, dir), open(t, t.TempDir())
	if a.StoreID() != again.StoreID() || a.StoreID() == b.StoreID() || !strings.HasPrefix(a.StoreID(), "local:") {
		t.Errorf("ids %s, %s, %s", a.StoreID(), again.StoreID(), b.StoreID())
	}
	if err := os.WriteFile(filepath.Join(dir, "inputs", "id"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("an empty id is an id")
	}
}

// TestFind: what was accepted is found as long as it is as it was, in another
// process too, whether it is a file or a folder.
func TestFind(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]string{"file": "", "folder": "deep/weights"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, input := t.TempDir(), filepath.Join(t.TempDir(), "input")
			file := filepath.Join(input, inside)
			write(t, file, "content")
			ref, err := open(t, data).Accept(t.Context(), input)
			if err != nil || ref.Key != input || ref.Size != 7 || ref.Name != "input" {
				t.Fatalf("%+v, %v", ref, err)
			}
			f := open(t, data)
			for range 2 {
				if path, err := f.Find(t.Context(), ref, nil); err != nil || path != input {
					t.Errorf("found %s, %v", path, err)
				}
			}
			then := time.Now().Add(-time.Hour)
			for _, change := range []func() error{
				func() error { return os.Chtimes(file, then, then) }, // no change of the content
				func() error { return os.WriteFile(file, []byte("c0ntent"), 0o600) },
				func() error { return os.Chtimes(file, then, then) }, // as if it were the old one
				func() error { return os.RemoveAll(input) },
			} {
				if err := change(); err != nil {
					t.Fatal(err)
				}
				_, err := f.Find(t.Context(), ref, nil)
				text, readErr := os.ReadFile(file)
				want := ""
				switch {
				case string(text) == "c0ntent":
					want = "has changed: it has sha256 "
				case readErr != nil:
					want = "is gone"
				}
				changed, ok := errors.AsType[*ChangedError](err)
				if ok != (want != "") || !ok && err != nil || ok && (!strings.Contains(err.Error(), want) || changed.WantSHA256 != ref.SHA256 || !strings.Contains(err.Error(), ref.SHA256)) {
					t.Errorf("with %q: %v, want %q", text, err, want)
				}
			}
		})
	}
}

// TestSettledFilesAreReadOnce: a file that looks as it did is not read again; one
// that was written just before may have been written since.
func TestSettledFilesAreReadOnce(t *testing.T) {
	t.Parallel()
	data, path := t.TempDir(), filepath.Join(t.TempDir(), "input")
	write(t, path, "content")
	f := open(t, data)
	ref, err := f.Describe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if known := f.recall(path).Files; len(known) != 0 {
		t.Errorf("a file that was written just now is known: %+v", known)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	times, _ := timesOf(info)
	// A memory of another content shows that the file was not read.
	other := strings.Repeat("0", 64)
	err = f.remember(path, func(m *memory) { m.Files = map[string]seen{path: {Size: 7, Times: times, SHA256: other}} })
	if got, describeErr := f.Describe(t.Context(), path); err != nil || describeErr != nil || got.SHA256 != other {
		t.Errorf("it was read again: %+v, %v, %v", got, err, describeErr)
	}
	for name, damage := range map[string]func(*seen){
		"size":  func(s *seen) { s.Size++ },
		"times": func(s *seen) { s.Times = "0" },
	} {
		one := seen{Size: 7, Times: times, SHA256: other}
		damage(&one)
		err := f.remember(path, func(m *memory) { m.Files = map[string]seen{path: one} })
		if got, describeErr := f.Describe(t.Context(), path); err != nil || describeErr != nil || got != ref {
			t.Errorf("another %s: %+v, %v, %v", name, got, err, describeErr)
		}
	}
	if err := os.WriteFile(f.memoryPath(path), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Describe(t.Context(), path); err != nil || got != ref {
		t.Errorf("a damaged memory: %+v, %v", got, err)
	}
}

// TestCheck: a reference out of an event opens what lies below the data roots,
// and what the owner of the data folder accepted with that content, and nothing
// else.
func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	roots := []string{filepath.Join(dir, "root")}
	inside, outside, secret := filepath.Join(dir, "root", "a"), filepath.Join(dir, "accepted"), filepath.Join(dir, "secret")
	for _, path := range []string{inside, outside, secret} {
		write(t, path, path)
	}
	link := filepath.Join(dir, "root", "link")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	f := open(t, filepath.Join(dir, "data"))
	accepted, err := f.Accept(t.Context(), outside)
	if err != nil {
		t.Fatal(err)
	}
	ref := func(path string) events.Reference {
		return events.Reference{Store: f.StoreID(), Key: path, SHA256: accepted.SHA256, MediaType: accepted.MediaType}
	}
	other := accepted
	other.SHA256 = strings.Repeat("0", 64)
	elsewhere := ref(inside)
	elsewhere.Store = "local:another"
	for name, c := range map[string]struct {
		ref events.Reference
		ok  bool
	}{
		"below a root":          {ref(inside), true},
		"accepted":              {accepted, true},
		"accepted, not cleaned": {ref(filepath.Dir(outside) + "/x/../accepted"), false},
		"another content":       {other, false},
		"outside":               {ref(secret), false},
		"a system file":         {ref("/etc/passwd"), false},
		"up and out":            {ref(inside + "/../../secret"), false},
		"through a link":        {ref(link), false},
		"relative":              {ref("a"), false},
		"empty":                 {ref(""), false},
		"missing":               {ref(filepath.Join(dir, "none")), false},
		"another data folder":   {elsewhere, false},
	} {
		err := f.Check(c.ref, roots)
		_, findErr := f.Find(t.Context(), c.ref, roots)
		_, changed := errors.AsType[*ChangedError](findErr)
		if (err == nil) != c.ok || !c.ok && (findErr == nil || changed) {
			t.Errorf("%s: %v; find: %v", name, err, findErr)
		}
	}
	if a, b := f.Check(ref(secret), roots), f.Check(ref(secret+"-none"), roots); a == nil || b == nil || a.Error() != b.Error() {
		t.Errorf("the answer tells whether a file exists: %v; %v", a, b)
	}
}
