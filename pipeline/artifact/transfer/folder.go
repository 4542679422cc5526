package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// temporaryPattern names the files and folders that are not complete yet.
const temporaryPattern = ".fetch-*"

// PutDir stores the files of a folder as one artifact, a tar stream. Links to
// files are followed. The error for a folder without files is [ErrEmptyFolder].
func (f *Files) PutDir(ctx context.Context, key, dir string) (events.Reference, error) {
	packed, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(packDir(ctx, w, dir)) // always nil
	}()
	ref, err := f.store.Put(ctx, key, mediaTypeTar, packed)
	// If Put returned before the end of the stream, this stops packDir too.
	_ = packed.Close() // always nil
	<-done
	if err != nil {
		return events.Reference{}, fmt.Errorf("store folder %s: %w", dir, err)
	}
	return ref, nil
}

// FetchDir unpacks an artifact of [Files.PutDir] to a folder, which must not
// exist or be empty. A folder that has the content of ref already remains as
// it is. For a folder with other files the error is [artifact.ErrExists].
func (f *Files) FetchDir(ctx context.Context, ref events.Reference, dir string) error {
	if err := f.fetchDir(ctx, ref, dir); err != nil {
		return fmt.Errorf("fetch artifact %q to folder %s: %w", ref.Key, dir, err)
	}
	return nil
}

func (f *Files) fetchDir(ctx context.Context, ref events.Reference, dir string) error {
	if err := f.store.Check(ref); err != nil {
		return err
	}
	if ref.MediaType != mediaTypeTar {
		return fmt.Errorf("its media type is %q, not %s", ref.MediaType, mediaTypeTar)
	}
	switch same, err := dirHasContent(ctx, ref, dir); {
	case err != nil:
		return err
	case same:
		return nil
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(parent, temporaryPattern)
	if err != nil {
		return err
	}
	err = f.unpackInto(ctx, ref, temporary)
	if err == nil {
		err = os.Chmod(temporary, 0o755)
	}
	if err == nil {
		err = os.Rename(temporary, dir)
	}
	if err != nil {
		// A concurrent call for the same folder may have finished first.
		if same, _ := dirHasContent(ctx, ref, dir); same {
			err = nil
		}
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return nil
}

// unpackInto unpacks an artifact. If the artifact is damaged, it returns the
// [artifact.CorruptError] and not the errors in the tar stream that the damage
// causes.
func (f *Files) unpackInto(ctx context.Context, ref events.Reference, dir string) error {
	r, err := f.store.Get(ctx, ref)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	err = unpackDir(ctx, r, root, ref.Size)
	if err != nil {
		_, drainErr := io.Copy(io.Discard, r)
		if corrupt, ok := errors.AsType[*artifact.CorruptError](drainErr); ok {
			err = corrupt
		}
	}
	return errors.Join(err, root.Close(), r.Close())
}

// dirHasContent reports whether dir is a folder with the content that ref
// describes. It returns false if dir does not exist or is empty, and
// [artifact.ErrExists] if dir has other files.
func dirHasContent(ctx context.Context, ref events.Reference, dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(entries) == 0 {
		return false, nil
	}
	h := sha256.New()
	if err := packDir(ctx, h, dir); err != nil && !errors.Is(err, ErrEmptyFolder) {
		return false, err
	}
	if hex.EncodeToString(h.Sum(nil)) != ref.SHA256 {
		return false, artifact.ErrExists
	}
	return true, nil
}
