package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// placer makes path a file with the content of ref.
type placer func(ctx context.Context, ref events.Reference, path string) error

// openFile is the [placer] for reading: the file of a store on this machine,
// under a second name, or one of the cache.
func (f fetcher) openFile(ctx context.Context, ref events.Reference, path string) error {
	if err := f.store.Check(ref); err != nil {
		return err
	}
	if stored, ok := f.store.Locate(ref); ok {
		if err := verifyFile(ctx, ref, stored); err != nil {
			return err
		}
		// A store on another file system is read through a symbolic link.
		if replaceLink(os.Link, stored, path) == nil || replaceLink(os.Symlink, stored, path) == nil {
			return nil
		}
		return f.copyFile(ctx, ref, path)
	}
	if f.cache == nil {
		return f.copyFile(ctx, ref, path)
	}
	return f.cache.Place(ctx, ref, path, func(ctx context.Context, path string) error { return f.download(ctx, ref, path) })
}

// linkedFrom is the size from which on a file that a person gets is a second
// name of the store's file. People edit small files, such as configurations, and
// an editor that writes into the file would damage the artifact.
const linkedFrom = 1 << 20 // bytes

// exportFile is the [placer] for a person.
func (f fetcher) exportFile(ctx context.Context, ref events.Reference, path string) error {
	if err := f.store.Check(ref); err != nil {
		return err
	}
	if stored, ok := f.store.Locate(ref); ok && ref.Size >= linkedFrom {
		if err := verifyFile(ctx, ref, stored); err != nil {
			return err
		}
		if replaceLink(os.Link, stored, path) == nil {
			return nil
		}
	}
	return f.copyFile(ctx, ref, path)
}

// replaceLink gives a file the name path by a function such as [os.Link], and
// takes the name from another file.
func replaceLink(link func(from, to string) error, from, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	err := link(from, path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := os.Lstat(path); err != nil || info.IsDir() {
		return fs.ErrExist
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return link(from, path)
}

// verifyFile compares the store's own file with the reference. A file that is
// gone is [artifact.ErrNotFound].
func verifyFile(ctx context.Context, ref events.Reference, path string) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return artifact.ErrNotFound
	}
	if err != nil {
		return &artifact.UnavailableError{Err: err}
	}
	v := artifact.Verify(ctx, ref, file)
	_, err = io.Copy(io.Discard, v)
	return errors.Join(err, v.Close())
}
