package huggingface_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface"
)

// fetchedModel is a cache with a model that tunebus fetched.
type fetchedModel struct {
	hub               *fakeHub
	cache, repository string
}

func fetchModel(t *testing.T) fetchedModel {
	t.Helper()
	m := fetchedModel{hub: newFakeHub(t, model()), cache: t.TempDir()}
	m.hub.lfs["model.safetensors"] = true
	m.repository = filepath.Join(m.cache, "models--owner--name")
	if _, err := m.open(t, ""); err != nil {
		t.Fatal(err)
	}
	m.hub.mu.Lock()
	m.hub.requests = nil
	m.hub.mu.Unlock()
	return m
}

func (m fetchedModel) open(t *testing.T, revision string, change ...func(*huggingface.Options)) (string, error) {
	t.Helper()
	return m.hub.client(t, func(o *huggingface.Options) {
		o.Cache, o.Tries = m.cache, 2
		for _, c := range change {
			c(o)
		}
	}).Model(t.Context(), "owner/name", revision)
}

// damage changes the content of a file in its place, as a person or a disk does. The time
// of the change is one that no clock is too coarse for.
func damage(t *testing.T, path string, change func(string) string) {
	t.Helper()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(real)
	if err == nil {
		err = os.WriteFile(real, []byte(change(string(body))), 0o600)
	}
	later := time.Now().Add(time.Minute)
	if err := errors.Join(err, os.Chtimes(real, later, later)); err != nil {
		t.Fatal(err)
	}
}

func (m fetchedModel) pointer(name string) string {
	return filepath.Join(m.repository, "snapshots", commit, name)
}

// checkWhole compares the files of a folder, and those of the snapshot, with the model.
func (m fetchedModel) checkWhole(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		for _, path := range []string{filepath.Join(dir, name), m.pointer(name)} {
			if body, err := os.ReadFile(path); err != nil || string(body) != m.hub.files[name] {
				t.Errorf("%s has %d bytes, %v", path, len(body), err)
			}
		}
	}
}

func offlineOption(o *huggingface.Options) { o.Offline = true }

// damages are faults of a file, and what is said of them.
var damages = map[string]struct {
	file   string
	change func(string) string
	says   string
}{
	"other bytes": {"model.safetensors", func(s string) string { return s[:1000] + strings.Repeat("?", 2000) + s[3000:] }, "has another digest"},
	"cut":         {"tokenizer.json", func(string) string { return "{" }, "has 1 bytes, and 2 were fetched"},
	"longer":      {"config.json", func(s string) string { return s + "\n" }, "were fetched"},
}

// TestDamagedCopyIsFetchedAgain: what is damaged in the cache is found before it is used,
// and it alone is fetched again. Also of a commit that is named, and of a copy that an
// earlier version fetched.
func TestDamagedCopyIsFetchedAgain(t *testing.T) {
	t.Parallel()
	for name, d := range damages {
		for _, revision := range []string{"", commit} {
			for _, earlier := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s of %q, earlier %t", name, revision, earlier), func(t *testing.T) {
					t.Parallel()
					m := fetchModel(t)
					if earlier {
						if err := os.Remove(filepath.Join(m.repository, ".tunebus", commit, ".verified")); err != nil {
							t.Fatal(err)
						}
					}
					damage(t, m.pointer(d.file), d.change)
					dir, err := m.open(t, revision)
					if err != nil {
						t.Fatal(err)
					}
					m.checkWhole(t, dir)
					var fetched []string
					for _, path := range m.hub.requests {
						if _, file, ok := strings.Cut(path, "/resolve/"+commit+"/"); ok {
							fetched = append(fetched, file)
						}
					}
					if strings.Join(fetched, " ") != d.file {
						t.Errorf("fetched %q, want %s alone", fetched, d.file)
					}
					if again, err := m.open(t, revision, offlineOption); err != nil || again != dir {
						t.Errorf("mended and offline: %q, %v", again, err)
					}
				})
			}
		}
	}
}

// TestDamagedCopyWithoutHub: where the Hub may not be asked, or does not answer, a damaged
// copy is refused by the names of the file and of the folder to remove.
func TestDamagedCopyWithoutHub(t *testing.T) {
	t.Parallel()
	for name, d := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := fetchModel(t)
			damage(t, m.pointer(d.file), d.change)
			_, err := m.open(t, "", offlineOption)
			for _, want := range []string{filepath.Join(".tunebus", commit, d.file), d.says, "remove the folder " + m.repository + " "} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
			m.hub.hub.Close()
			_, err = m.open(t, "")
			if !errors.Is(err, huggingface.ErrUnreachable) || !strings.Contains(err.Error(), d.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestCopyIsMendedFromTheBlob: a copy whose blob is whole needs no Hub.
func TestCopyIsMendedFromTheBlob(t *testing.T) {
	t.Parallel()
	m := fetchModel(t)
	mine := filepath.Join(m.repository, ".tunebus", commit, "tokenizer.json")
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	damage(t, mine, func(s string) string { return s })
	dir, err := m.open(t, "", offlineOption)
	if err != nil {
		t.Fatal(err)
	}
	m.checkWhole(t, dir)
}

// TestTouchedCopyIsUsed: a file whose time alone changed, as by a copy of the cache, is
// the same file, and nothing is asked.
func TestTouchedCopyIsUsed(t *testing.T) {
	t.Parallel()
	m := fetchModel(t)
	damage(t, m.pointer("model.safetensors"), func(s string) string { return s })
	for range 2 {
		if _, err := m.open(t, commit); err != nil || len(m.hub.requests) > 0 {
			t.Errorf("%v, %v", err, m.hub.requests)
		}
	}
}

// TestDamagedCardOfAConversion: also the card that is made here is compared.
func TestDamagedCardOfAConversion(t *testing.T) {
	t.Parallel()
	f := newFakeHub(t, map[string]string{"script.py": "x"})
	converted := strings.Repeat("a", 40)
	f.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "convert"):
			fmt.Fprintf(w, `{"sha": %q}`, converted)
		case strings.Contains(r.URL.Path, "/tree/"+converted):
			fmt.Fprintf(w, `[{"type": "file", "path": "default/train/0000.parquet", "size": 4, "oid": %q}]`, gitOf("PAR1"))
		case strings.Contains(r.URL.Path, "/resolve/"+converted):
			fmt.Fprint(w, "PAR1")
		default:
			return false
		}
		return true
	}
	cache := t.TempDir()
	for _, offline := range []bool{false, false, true} {
		dir, err := f.client(t, func(o *huggingface.Options) { o.Cache, o.Offline = cache, offline }).Dataset(t.Context(), "owner/name", source.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		card := filepath.Join(dir, "README.md")
		if body, err := os.ReadFile(card); err != nil || !strings.Contains(string(body), `config_name: "default"`) {
			t.Errorf("%q, %v", body, err)
		}
		damage(t, card, func(string) string { return "---\n---\n" })
	}
}
