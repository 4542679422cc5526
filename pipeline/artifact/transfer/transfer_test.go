package transfer

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// fixture is a Files on an empty store in a folder.
type fixture struct {
	*Files
	store    *artifact.Store
	storeDir string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	dir := t.TempDir()
	store, err := artifact.Open(t.Context(), "file://"+filepath.ToSlash(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return fixture{Files: New(store), store: store, storeDir: dir}
}

func (f fixture) put(t *testing.T, key, content string) events.Reference {
	t.Helper()
	ref, err := f.store.Put(t.Context(), key, "text/plain", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// damages are the ways in which a stored object can differ from its reference.
func damages() map[string]func([]byte) []byte {
	return map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"longer":    func(b []byte) []byte { return append(b, 'x') },
		"a bit":     func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"empty":     func([]byte) []byte { return nil },
	}
}
