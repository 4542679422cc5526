package artifact

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// newStore returns an empty store in a folder, and the folder.
func newStore(t testing.TB) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(t.Context(), "file://"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

func mustPut(t testing.TB, s *Store, key, content string) events.Reference {
	t.Helper()
	ref, err := s.Put(t.Context(), key, "text/plain", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func read(t testing.TB, s *Store, ref events.Reference) (string, error) {
	t.Helper()
	r, err := s.Get(t.Context(), ref)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(r)
	return string(content), errors.Join(err, r.Close())
}

func TestPutReturnsTheReference(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	got := mustPut(t, s, "runs/r1/finetune/1/x", "abc")
	want := events.Reference{
		Store: s.ID(), Key: "runs/r1/finetune/1/x", MediaType: "text/plain", Size: 3,
		SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", // FIPS 180-2, B.1
	}
	if got != want {
		t.Errorf("put: %+v, want %+v", got, want)
	}
	if content, err := read(t, s, got); err != nil || content != "abc" {
		t.Errorf("get: %q, %v", content, err)
	}
}

func TestPutOfAnExistingKey(t *testing.T) {
	t.Parallel()
	for name, open := range backends() {
		s, err := New(t.Context(), open(t))
		if err != nil {
			t.Fatal(err)
		}
		first := mustPut(t, s, "k", "first")
		if again := mustPut(t, s, "k", "first"); again != first {
			t.Errorf("%s: the same again: %+v, want %+v", name, again, first)
		}
		for _, other := range []string{"other", "", "first and more"} {
			if _, err := s.Put(t.Context(), "k", "text/plain", strings.NewReader(other)); !errors.Is(err, ErrExists) {
				t.Errorf("%s: put %q: %v, want ErrExists", name, other, err)
			}
		}
		if content, err := read(t, s, first); err != nil || content != "first" {
			t.Errorf("%s: get: %q, %v", name, content, err)
		}
	}
}

func TestPutDetectsChangesByTheBackend(t *testing.T) {
	t.Parallel()
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &damagingBackend{Backend: backends()["files"](t), damage: damage}
			s, err := New(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Put(t.Context(), "k", "text/plain", strings.NewReader("content"))
			if _, corrupt := errors.AsType[*CorruptError](err); !corrupt {
				t.Errorf("put: %v, want a CorruptError", err)
			}
			if !slices.Equal(b.deleted, []string{"k"}) {
				t.Errorf("deleted: %q, want k, so that the next try can put it", b.deleted)
			}
		})
	}
}

func damages() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":    func(b []byte) []byte { return append(b, 'x') },
		"a bit":     func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"empty":     func([]byte) []byte { return nil },
	}
}

func TestDamagedObjects(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 10_000)
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := newStore(t)
			ref := mustPut(t, s, "a/k", content)
			if err := os.WriteFile(filepath.Join(dir, "a", "k"), damage([]byte(content)), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := read(t, s, ref)
			corrupt, ok := errors.AsType[*CorruptError](err)
			if !ok || corrupt.Key != "a/k" || int64(len(got)) > ref.Size {
				t.Errorf("get: %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestReferencesAreChecked(t *testing.T) {
	t.Parallel()
	s, dir := newStore(t)
	ref := mustPut(t, s, "k", "content")
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}

	elsewhere := ref
	elsewhere.Store = "another"
	_, err := read(t, s, elsewhere)
	wrong, ok := errors.AsType[*WrongStoreError](err)
	if !ok || wrong.Want != "another" || wrong.Have != s.ID() {
		t.Errorf("get from another store: %v", err)
	}
	missing := ref
	missing.Key = "none"
	if _, err := read(t, s, missing); !errors.Is(err, ErrNotFound) {
		t.Errorf("get of a missing key: %v", err)
	}
	negative := ref
	negative.Size = -1
	if _, err := read(t, s, negative); err == nil {
		t.Error("get of a negative size: no error")
	}
	for _, key := range []string{
		"", "/", "../secret", "a/../../secret", "/etc/passwd", idKey, partialDir + "/x", "a//b", "a/", "a b", `a\b`, "a\x00b", "é",
		strings.Repeat("a", 200), strings.Repeat("a/", 300) + "a",
	} {
		bad := ref
		bad.Key = key
		if content, err := read(t, s, bad); err == nil {
			t.Errorf("get %q: %q", key, content)
		}
		if _, err := s.Put(t.Context(), key, "text/plain", strings.NewReader("x")); err == nil {
			t.Errorf("put %q: no error", key)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("delete %q: no error", key)
		}
	}
	if id, err := os.ReadFile(filepath.Join(dir, idKey)); err != nil || strings.TrimSpace(string(id)) != s.ID() {
		t.Errorf("the store's id: %q, %v", id, err)
	}
}

func TestListReturnsOnlyArtifacts(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	mustPut(t, s, "runs/r1/a", "1")
	mustPut(t, s, "runs/r2/a", "2")
	var got []string
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Key)
	}
	slices.Sort(got)
	if want := []string{"runs/r1/a", "runs/r2/a"}; !slices.Equal(got, want) {
		t.Errorf("list: %q, want %q", got, want)
	}
	if err := s.Delete(t.Context(), "runs/r1/a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "runs/r1/a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("delete again: %v, want ErrNotFound", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	var listErr error
	for _, listErr = range s.List(ended, "") {
	}
	if !errors.Is(listErr, context.Canceled) {
		t.Errorf("list with an ended context: %v", listErr)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	first, dir := newStore(t)
	again, err := Open(t.Context(), "file://"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != first.ID() {
		t.Errorf("opened again, the store has id %q, not %q", again.ID(), first.ID())
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	for address, want := range map[string]string{
		"s3://models?region=x&secret=hush": `open artifact store s3://models: this program has no driver for "s3"; it has: file`,
		"s3://user:hush@models":            "holds a user or password",
		"/data":                            "write file:///abs/path",
		"file://data":                      "three slashes",
		"file:data":                        "no absolute path",
		"s3://user:hush\x7f@h":             "cannot be read",
	} {
		_, err := Open(t.Context(), address)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("open %q: %v, want %q", address, err, want)
		}
	}
}

// TestOpenExisting: a store that nobody made is an error, and is not made.
func TestOpenExisting(t *testing.T) {
	t.Parallel()
	first, dir := newStore(t)
	again, err := OpenExisting(t.Context(), "file://"+filepath.ToSlash(dir))
	if err != nil || again.ID() != first.ID() {
		t.Fatalf("a store that is there: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	empty := t.TempDir()
	for _, dir := range []string{empty, filepath.Join(empty, "nosuch", "x")} {
		_, err := OpenExisting(t.Context(), "file://"+filepath.ToSlash(dir))
		if !errors.Is(err, ErrNoStore) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) != 0 {
		t.Errorf("made: %v, %v", left, err)
	}
	if _, err := OpenExisting(t.Context(), "foo"); err == nil || !strings.Contains(err.Error(), "open artifact store foo: ") {
		t.Errorf("an address without a scheme: %v", err)
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	key, err := Key("r1", events.Finetune, 2, "checkpoints/step-20.tar")
	if err != nil || key != "runs/r1/finetune/2/checkpoints/step-20.tar" {
		t.Errorf("key: %q, %v", key, err)
	}
	for _, c := range []struct {
		run     string
		phase   events.Phase
		attempt int
		name    string
	}{
		{"", events.Finetune, 1, "a"},
		{"../r", events.Finetune, 1, "a"},
		{"r", "train", 1, "a"},
		{"r", events.Finetune, 0, "a"},
		{"r", events.Finetune, 1, ""},
		{"r", events.Finetune, 1, "../a"},
		{"r", events.Finetune, 1, ".a"},
	} {
		if key, err := Key(c.run, c.phase, c.attempt, c.name); err == nil {
			t.Errorf("%+v: %q", c, key)
		}
	}
}

// TestRemoveEmptyFolders: folders that a killed writer left go, and all others stay.
func TestRemoveEmptyFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // read only from here on
	if _, err := s.Put(t.Context(), "runs/r/finetune/2/model", "text/plain", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	for _, empty := range []string{"runs/r/finetune/1/checkpoint-5", "runs/r/finetune/2/checkpoint-9", "runs/other/finetune/1", "runs/removed"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(empty)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	RemoveEmptyFolders(s, "runs/r/finetune/")
	RemoveEmptyFolders(s, "runs/removed/finetune/1/") // of which a killed process removed all but one folder
	for path, want := range map[string]bool{"runs/r/finetune/1": false, "runs/r/finetune/2/checkpoint-9": false, "runs/r/finetune/2/model": true, "runs/other/finetune/1": true, "runs/removed": false, "runs": true} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(path))); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
