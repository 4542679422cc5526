package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
)

// Fetch copies an artifact to a file. The file appears whole and verified, or
// not at all; one that is there already and is what ref says is kept, any
// other file is replaced. Missing folders are made.
func (s *Store) Fetch(ctx context.Context, ref events.Reference, path string) error {
	if err := s.fetch(ctx, ref, path); err != nil {
		return fmt.Errorf("fetch artifact %q to %s: %w", ref.Key, path, err)
	}
	return nil
}

func (s *Store) fetch(ctx context.Context, ref events.Reference, path string) (err error) {
	if err := s.checkReference(ref); err != nil {
		return err
	}
	switch same, err := fileIs(ctx, ref, path); {
	case err != nil:
		return err
	case same:
		return nil
	}
	r, err := s.open(ctx, ref)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w, err := os.CreateTemp(filepath.Dir(path), ".fetch-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err == nil {
		err = w.Chmod(0o644)
	}
	err = errors.Join(err, w.Close())
	if err == nil {
		err = os.Rename(w.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(w.Name()))
	}
	return nil
}

// fileIs reports whether a file is what ref says; one that is not there, or is
// no plain file, is not.
func fileIs(ctx context.Context, ref events.Reference, path string) (bool, error) {
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
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	v := newVerifier(ctx, ref, f)
	_, err = io.Copy(io.Discard, v)
	err = errors.Join(err, v.Close())
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		return false, nil
	}
	return err == nil, err
}
