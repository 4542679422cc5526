package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/atomicfile"
)

// PutFile stores a file as an artifact, with the promises of
// [artifact.Store.Put].
func (f *Files) PutFile(ctx context.Context, key, mediaType, path string) (_ events.Reference, err error) {
	file, err := manifest.OpenRegular(path)
	if err != nil {
		return events.Reference{}, fmt.Errorf("put artifact %q: %w", key, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return f.store.Put(ctx, key, mediaType, file)
}

// Fetch copies an artifact to a file and creates the missing parent folders. A
// file with other content is replaced.
func (f *Files) Fetch(ctx context.Context, ref events.Reference, path string) error {
	if err := f.out.copyFile(ctx, ref, path); err != nil {
		return fmt.Errorf("fetch artifact %q to %s: %w", ref.Key, path, err)
	}
	return nil
}

// Open makes path a file with the content of an artifact, for reading only: it
// may be the store's own file, or one of the cache. A file that is there already
// is replaced unless it has the content.
func (f *Files) Open(ctx context.Context, ref events.Reference, path string) error {
	if err := f.out.openFile(ctx, ref, path); err != nil {
		return fmt.Errorf("open artifact %q as %s: %w", ref.Key, path, err)
	}
	return nil
}

// copyFile makes path a file of its own with the content of ref.
func (f fetcher) copyFile(ctx context.Context, ref events.Reference, path string) (err error) {
	if err := f.store.Check(ref); err != nil {
		return err
	}
	switch same, err := fileHasContent(ctx, ref, path); {
	case err != nil:
		return err
	case same:
		return nil
	}
	return f.download(ctx, ref, path)
}

// download writes the content of ref to a path.
func (f fetcher) download(ctx context.Context, ref events.Reference, path string) (err error) {
	r, err := f.store.Get(ctx, ref)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	}, atomicfile.Options{TempPattern: temporaryPattern})
}

// fileHasContent reports whether path is a regular file with the content that
// ref describes.
func fileHasContent(ctx context.Context, ref events.Reference, path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() || info.Size() != ref.Size {
		return false, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	v := artifact.Verify(ctx, ref, file)
	_, err = io.Copy(io.Discard, v)
	err = errors.Join(err, v.Close())
	if _, corrupt := errors.AsType[*artifact.CorruptError](err); corrupt {
		return false, nil
	}
	return err == nil, err
}
