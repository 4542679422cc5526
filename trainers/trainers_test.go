package trainers

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEverySourceIsEmbedded: the program carries every file of the Python package.
func TestEverySourceIsEmbedded(t *testing.T) {
	t.Parallel()
	sources, found := Sources(), 0
	err := filepath.WalkDir("python/"+Module, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".pyc" {
			return err
		}
		found++
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel("python/"+Module, path)
		if sources[name] != string(body) {
			t.Errorf("%s is not embedded; the package has no folders in it, and Python files alone", path)
		}
		return nil
	})
	if err != nil || found == 0 || found != len(sources) {
		t.Errorf("%d files, %d are embedded: %v", found, len(sources), err)
	}
	if Version() == "" || SourcesDigest() == digest("") {
		t.Errorf("version %q, digest %s", Version(), SourcesDigest())
	}
}

// TestLocks: every package of a lock has one version and digests for both processors,
// and the lock holds what the list of the engine asks for.
func TestLocks(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^([a-z0-9._-]+)==[^ ;]+( ; .*)?$`)
	for _, e := range Engines() {
		names, hashes := map[string]bool{}, 0
		lock := strings.ReplaceAll(e.Requirements(true), " \\\n", "\n")
		for line := range strings.Lines(lock) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "--hash=sha256:") {
				hashes++
				continue
			}
			m := pinned.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("%s: the line %q pins no version", e.Name, line)
				continue
			}
			names[m[1]] = true
		}
		if hashes < len(names) {
			t.Errorf("%s: %d packages, %d digests", e.Name, len(names), hashes)
		}
		for _, name := range e.Packages {
			if !names[name] {
				t.Errorf("%s: the lock has no %s", e.Name, name)
			}
		}
		for line := range strings.Lines(e.Requirements(false)) {
			name := strings.TrimSpace(line)
			if strings.HasPrefix(name, "#") || name == "" {
				continue
			}
			if strings.ContainsAny(name, "=<>; ") || !names[name] {
				t.Errorf("%s: the list without versions has %q", e.Name, name)
			}
		}
	}
	if a, b := Engines()[0].Lock(), Engines()[1].Lock(); a == b || !strings.HasPrefix(a, "sha256:") {
		t.Errorf("the locks have the digests %s and %s", a, b)
	}
}

// TestFind: an engine by its name.
func TestFind(t *testing.T) {
	t.Parallel()
	if e, ok := Find(TRL); !ok || e.Name != TRL {
		t.Errorf("%v, %v", e, ok)
	}
	if e, ok := Find("axolotl"); ok {
		t.Errorf("there is %v", e)
	}
}
