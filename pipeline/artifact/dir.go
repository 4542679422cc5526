package artifact

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
)

// PutDir stores the files of a folder as one tar stream, which depends on
// their names and contents alone. Links to files are followed. A folder
// without files is [ErrEmptyFolder].
func (s *Store) PutDir(ctx context.Context, key, dir string) (events.Reference, error) {
	packed, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(packDir(ctx, w, dir)) // always nil
	}()
	ref, err := s.Put(ctx, key, mediaTypeTar, packed)
	// If Put gave up early, this makes packDir give up too.
	_ = packed.Close() // always nil
	<-done
	if err != nil {
		return events.Reference{}, fmt.Errorf("store folder %s: %w", dir, err)
	}
	return ref, nil
}

// FetchDir copies a folder stored by [Store.PutDir]. The folder appears whole
// and verified, or not at all. A folder of that name whose files are what ref
// says is kept, an empty one is filled, any other is [ErrExists].
func (s *Store) FetchDir(ctx context.Context, ref events.Reference, dir string) error {
	if err := s.fetchDir(ctx, ref, dir); err != nil {
		return fmt.Errorf("fetch artifact %q to folder %s: %w", ref.Key, dir, err)
	}
	return nil
}

func (s *Store) fetchDir(ctx context.Context, ref events.Reference, dir string) error {
	if err := s.checkReference(ref); err != nil {
		return err
	}
	if ref.MediaType != mediaTypeTar {
		return fmt.Errorf("its media type is %q, not %s", ref.MediaType, mediaTypeTar)
	}
	switch same, err := dirIs(ctx, ref, dir); {
	case err != nil:
		return err
	case same:
		return nil
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(parent, ".fetch-*")
	if err != nil {
		return err
	}
	err = s.unpackInto(ctx, ref, partial)
	if err == nil {
		err = os.Chmod(partial, 0o755)
	}
	if err == nil {
		err = os.Rename(partial, dir)
	}
	if err != nil {
		// Another call for the same folder may have been faster.
		if same, _ := dirIs(ctx, ref, dir); same {
			err = nil
		}
		return errors.Join(err, os.RemoveAll(partial))
	}
	return nil
}

// unpackInto reports a damaged artifact before what the damage did to the tar
// stream in it.
func (s *Store) unpackInto(ctx context.Context, ref events.Reference, dir string) error {
	r, err := s.open(ctx, ref)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	err = unpackDir(ctx, r, root, ref.Size)
	if err != nil {
		var corrupt *CorruptError
		if _, rest := io.Copy(io.Discard, r); errors.As(rest, &corrupt) {
			err = corrupt
		}
	}
	return errors.Join(err, root.Close(), r.Close())
}

// dirIs reports whether the files of a folder are what ref says. A folder that
// is not there or empty is not; one with other files is [ErrExists].
func dirIs(ctx context.Context, ref events.Reference, dir string) (bool, error) {
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
		return false, ErrExists
	}
	return true, nil
}
