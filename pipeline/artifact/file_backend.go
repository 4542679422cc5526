package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tunebus/tunebus/pipeline/artifact/durablelink"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// fileBackend stores each object as a file below a folder. gocloud's fileblob
// is not used for this: it does not sync files to the disk, and it prevents
// two writers of one key only inside one process.
type fileBackend struct {
	root     *os.Root
	partials partialFiles
}

func openFileBackend(dir string) (*fileBackend, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%q is no absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &fileBackend{root: root, partials: partialFiles{root}}
	f.Sweep()
	return f, nil
}

func (f *fileBackend) Close() error { return f.root.Close() }

func (f *fileBackend) Put(ctx context.Context, key, _ string, r io.Reader) error {
	switch _, err := f.root.Lstat(key); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	w, partial, err := f.partials.create()
	if err != nil {
		return err
	}
	if err = writeDurably(ctx, w, r); err == nil {
		failpoint.Here(failpoint.ArtifactUnnamed)
		err = durablelink.Link(f.root, partial, key) // before Close releases the lock
		if errors.Is(err, fs.ErrExist) {
			err = ErrExists
		}
	}
	err = errors.Join(err, w.Close())
	if removeErr := f.root.Remove(partial); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	return err
}

func writeDurably(ctx context.Context, w *os.File, r io.Reader) error {
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return w.Sync()
}

func (f *fileBackend) Get(_ context.Context, key string) (io.ReadCloser, error) {
	r, err := f.root.Open(key)
	if err != nil {
		return nil, notFound(err)
	}
	info, err := r.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFound // a folder is the prefix of keys, not a key
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (f *fileBackend) Attributes(_ context.Context, key string) (Object, error) {
	info, err := f.root.Stat(key)
	if err != nil {
		return Object{}, notFound(err)
	}
	if !info.Mode().IsRegular() {
		return Object{}, ErrNotFound
	}
	return Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

func (f *fileBackend) Delete(ctx context.Context, key string) error {
	if _, err := f.Attributes(ctx, key); err != nil {
		return err
	}
	if err := f.root.Remove(key); err != nil {
		return notFound(err)
	}
	f.removeEmptyParents(key)
	return nil
}

func (f *fileBackend) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		start := path.Dir(prefix + "x") // walk a/b for prefix "a/b/", and a for "a/b"
		if !fs.ValidPath(start) {
			return // no key has this prefix
		}
		err := fs.WalkDir(f.root.FS(), start, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // never existed, or was deleted during the walk
			}
			if err == nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				return err
			}
			if d.IsDir() {
				if name == partialDir {
					return fs.SkipDir
				}
				return nil
			}
			if !strings.HasPrefix(name, prefix) {
				return nil
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(Object{Key: name, Size: info.Size(), ModTime: info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Object{}, err)
		}
	}
}

// Path implements [Local].
func (f *fileBackend) Path(key string) string {
	return filepath.Join(f.root.Name(), filepath.FromSlash(key))
}

// Sweep implements [Sweeper].
func (f *fileBackend) Sweep() { f.partials.sweep() }

// RemoveEmptyFolders implements [FolderSweeper].
func (f *fileBackend) RemoveEmptyFolders(prefix string) {
	start := path.Dir(prefix + "x")
	if start == "." || !fs.ValidPath(start) {
		return
	}
	var folders []string
	_ = fs.WalkDir(f.root.FS(), start, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir // it is gone, or it stays
		}
		if d.IsDir() {
			folders = append(folders, name)
		}
		return nil
	})
	for _, dir := range slices.Backward(folders) { // the inner ones first
		_ = f.root.Remove(dir) // fails if it is not empty; a writer makes it again
	}
	f.removeEmptyParents(start)
}

// removeEmptyParents removes the parent folders of name that are empty. The first
// one that is not ends it. A parent that is gone does not: a process may have been
// killed between two of them.
func (f *fileBackend) removeEmptyParents(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if err := f.root.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// Leftovers implements [Collectable].
func (f *fileBackend) Leftovers(_ context.Context, before time.Time) iter.Seq2[Object, error] {
	return f.partials.abandoned(before)
}

// RemoveLeftover implements [Collectable].
func (f *fileBackend) RemoveLeftover(_ context.Context, key string) error {
	if err := f.root.Remove(key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// notFound translates the errors for a missing file to [ErrNotFound].
func notFound(err error) error {
	// ENOTDIR: a parent of the key is itself a key.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return ErrNotFound
	}
	return err
}
