package artifact

import (
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
	// partialDir has the partial files. It is inside the store, because only
	// a file on the same file system can be linked to its final name.
	partialDir = ".partial"
	// partialAge is the age after which the writer of a partial file is
	// considered dead, whichever machine it ran on.
	partialAge = 24 * time.Hour
)

// partialFiles are the files of objects that are not completely written yet.
// A living writer holds a lock on its file. The file of a killed writer is
// unlocked and can be removed.
type partialFiles struct {
	root *os.Root
}

// machinePrefix begins the names of the partial files of this machine. Only
// their locks are reliable: if several machines share a folder, the locks of
// other machines may be invisible.
var machinePrefix = sync.OnceValue(func() string {
	name, err := os.Hostname()
	if err != nil {
		name = rand.Text() // equal to no other machine
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:6]) + "-"
})

// create creates a partial file and locks it. A concurrent sweep may remove
// the file before it is locked; create then makes another one.
func (p partialFiles) create() (*os.File, string, error) {
	if err := p.root.MkdirAll(partialDir, 0o755); err != nil {
		return nil, "", err
	}
	const tries = 10
	for range tries {
		name := partialDir + "/" + machinePrefix() + rand.Text()
		w, err := p.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, "", err
		}
		err = filelock.TryLock(w)
		if err == nil && p.exists(w, name) || errors.Is(err, filelock.ErrUnsupported) {
			return w, name, nil
		}
		_ = w.Close() // nothing was written
	}
	return nil, "", errors.New("partial objects are removed at once, again and again")
}

// exists reports whether an open file still has that name.
func (p partialFiles) exists(file *os.File, name string) bool {
	open, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := p.root.Lstat(name)
	return err == nil && os.SameFile(open, named)
}

// sweep removes the files of killed writers: those of this machine at once,
// those of other machines after [partialAge]. Errors are ignored, because a
// store that can not be swept (a read-only one, for example) can still be used.
func (p partialFiles) sweep() {
	entries, err := fs.ReadDir(p.root.FS(), partialDir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name := partialDir + "/" + e.Name()
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > partialAge {
			_ = p.root.Remove(name) // see above
		} else if strings.HasPrefix(e.Name(), machinePrefix()) {
			p.removeUnlocked(name)
		}
	}
}

// removeUnlocked removes a file that no living writer has locked.
func (p partialFiles) removeUnlocked(name string) {
	file, err := p.root.Open(name)
	if err != nil {
		return
	}
	defer file.Close()
	if filelock.TryLock(file) == nil {
		_ = p.root.Remove(name) // see sweep
	}
}

// abandoned iterates over the unlocked files that were last written before
// the given time, and stops after the first error.
func (p partialFiles) abandoned(before time.Time) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		entries, err := fs.ReadDir(p.root.FS(), partialDir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(Object{}, err)
			return
		}
		for _, e := range entries {
			name := partialDir + "/" + e.Name()
			info, err := e.Info()
			switch {
			case errors.Is(err, fs.ErrNotExist): // it was completed meanwhile
				continue
			case err != nil:
				yield(Object{}, err)
				return
			case !info.ModTime().Before(before) || p.locked(name):
				continue
			}
			if !yield(Object{Key: name, Size: info.Size(), ModTime: info.ModTime()}, nil) {
				return
			}
		}
	}
}

// locked reports whether a living writer is known to have locked the file.
func (p partialFiles) locked(name string) bool {
	file, err := p.root.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(filelock.TryLock(file), filelock.ErrLocked)
}
