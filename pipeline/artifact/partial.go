package artifact

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/filelock"
)

const (
	// partialDir holds objects that are being written, on the same file
	// system as the objects.
	partialDir = ".partial"
	// partialAge is when a partial object is taken for one whose writer died,
	// wherever that was.
	partialAge = 24 * time.Hour
)

// machine begins the names of the partial objects of this machine, where the
// locks of the living can be seen. On a folder that several machines share,
// those of the others may be invisible.
var machine = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil {
		name = rand.Text() // nobody's
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:6]) + "-"
})

// Sweep removes what writers that died left behind: on this machine at once,
// elsewhere after a day. It is a courtesy: a store that cannot be swept, say a
// read-only one, is still a store.
func (f *files) Sweep() {
	entries, err := fs.ReadDir(f.root.FS(), partialDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name := partialDir + "/" + e.Name()
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > partialAge {
			_ = f.root.Remove(name) // as above
		} else if strings.HasPrefix(e.Name(), machine()) {
			f.removeFree(name)
		}
	}
}

// removeFree removes a partial object that nobody writes any more.
func (f *files) removeFree(name string) {
	file, err := f.root.Open(name)
	if err != nil {
		return
	}
	defer file.Close()
	if filelock.TryLock(file) == nil {
		_ = f.root.Remove(name) // as above
	}
}

// Leftovers implements [Collectable].
func (f *files) Leftovers(_ context.Context, before time.Time) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		entries, err := fs.ReadDir(f.root.FS(), partialDir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(Object{}, err)
			return
		}
		for _, e := range entries {
			name := partialDir + "/" + e.Name()
			info, err := e.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist): // it has its name by now
				continue
			case err != nil:
				yield(Object{}, err)
				return
			case !info.ModTime().Before(before) || f.taken(name):
				continue
			}
			if !yield(Object{Key: name, Size: info.Size(), ModTime: info.ModTime()}, nil) {
				return
			}
		}
	}
}

// RemoveLeftover implements [Collectable].
func (f *files) RemoveLeftover(_ context.Context, key string) error {
	if err := f.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// taken reports whether somebody surely writes a partial object.
func (f *files) taken(name string) bool {
	file, err := f.root.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(filelock.TryLock(file), filelock.ErrLocked)
}

// create makes a partial object and holds it. Someone who sweeps may remove it
// before it is held; then another is made.
func (f *files) create() (*os.File, string, error) {
	const tries = 10
	for range tries {
		name := partialDir + "/" + machine() + rand.Text()
		w, err := f.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, "", err
		}
		err = filelock.TryLock(w)
		if err == nil && f.is(w, name) || errors.Is(err, filelock.ErrUnsupported) {
			return w, name, nil
		}
		_ = w.Close() // nothing was written
	}
	return nil, "", errors.New("partial objects are removed at once, again and again")
}

// is reports whether an open file still is the one of that name.
func (f *files) is(file *os.File, name string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := f.root.Lstat(name)
	return err == nil && os.SameFile(mine, there)
}
