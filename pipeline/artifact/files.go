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
	"strings"
	"syscall"

	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// files keeps objects as plain files below a folder. gocloud's fileblob is not
// used for this: it does not flush what it wrote to the disk, and keeps two
// writers of one key apart only inside one process.
type files struct {
	root *os.Root
}

func openFiles(dir string) (*files, error) {
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
	f := &files{root: root}
	f.Sweep()
	return f, nil
}

func (f *files) Close() error { return f.root.Close() }

func (f *files) Put(ctx context.Context, key, _ string, r io.Reader) error {
	switch _, err := f.root.Lstat(key); {
	case err == nil:
		return ErrExists
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := f.root.MkdirAll(partialDir, 0o755); err != nil {
		return err
	}
	w, partial, err := f.create()
	if err != nil {
		return err
	}
	if err = f.write(ctx, w, r); err == nil {
		failpoint.Here(failpoint.ArtifactUnnamed)
		err = f.publish(partial, key) // held until it has its name
	}
	err = errors.Join(err, w.Close())
	if removed := f.root.Remove(partial); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}

func (f *files) write(ctx context.Context, w *os.File, r io.Reader) error {
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return w.Sync()
}

// publish gives a written file its name, unless the name is taken. A folder on
// the way may be removed by a concurrent Delete; then it is made again.
func (f *files) publish(partial, key string) error {
	const tries = 10
	var err error
	for range tries {
		if err = f.mkdirs(path.Dir(key)); err != nil {
			return err
		}
		if err = f.link(partial, key); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return err
	}
	return f.sync(path.Dir(key))
}

func (f *files) link(partial, key string) error {
	err := f.root.Link(partial, key)
	// Linux answers EPERM where the file system has no hard links.
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if _, err := f.root.Lstat(key); err == nil {
		return fs.ErrExist
	}
	return f.root.Rename(partial, key)
}

// mkdirs makes a folder and its parents, and flushes the parent of each folder
// that it made.
func (f *files) mkdirs(dir string) error {
	if dir == "." {
		return nil
	}
	switch err := f.root.Mkdir(dir, 0o755); {
	case err == nil:
		return f.sync(path.Dir(dir))
	case errors.Is(err, fs.ErrExist):
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := f.mkdirs(path.Dir(dir)); err != nil {
		return err
	}
	if err := f.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := f.sync(path.Dir(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile; publish tries again
	}
	return err
}

func (f *files) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *files) Get(_ context.Context, key string) (io.ReadCloser, error) {
	r, err := f.root.Open(key)
	if err != nil {
		return nil, notFound(err)
	}
	info, err := r.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotFound // a folder of keys, not a key
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (f *files) Attributes(_ context.Context, key string) (Object, error) {
	info, err := f.root.Stat(key)
	if err != nil {
		return Object{}, notFound(err)
	}
	if !info.Mode().IsRegular() {
		return Object{}, ErrNotFound
	}
	return Object{Key: key, Size: info.Size(), ModTime: info.ModTime()}, nil
}

func (f *files) Delete(ctx context.Context, key string) error {
	if _, err := f.Attributes(ctx, key); err != nil {
		return err
	}
	if err := f.root.Remove(key); err != nil {
		return notFound(err)
	}
	// Folders that became empty go too; the first that did not ends it.
	for dir := path.Dir(key); dir != "." && f.root.Remove(dir) == nil; dir = path.Dir(dir) {
	}
	return nil
}

func (f *files) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		start := path.Dir(prefix + "x") // "a/b/" lists below a/b, "a/b" below a
		if !fs.ValidPath(start) {
			return // no key begins like that
		}
		err := fs.WalkDir(f.root.FS(), start, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // nothing there, or deleted meanwhile
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

func notFound(err error) error {
	// A key that goes on below another key is ENOTDIR.
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return ErrNotFound
	}
	return err
}
