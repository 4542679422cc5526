// Package atomicfile writes files that appear under their name only when they are
// complete. Other processes see the old file or the new one, never a part.
//
//	err := atomicfile.Write(path, ".fetch-*", 0o644, func(w io.Writer) error {
//		_, err := io.Copy(w, r)
//		return err
//	})
//
// If the process is killed, a file with the temporary name remains.
//
// It is ours because google/renameio always syncs the file, which costs time for a
// model that can be fetched again, and chooses the temporary name itself, so that
// the origin of a leftover is unknown.
package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write creates or replaces a file with the content that write writes. It creates
// missing parent folders. The temporary file is in the same folder, named by a
// pattern of [os.CreateTemp]. If write returns an error, path remains unchanged
// and the error is returned.
func Write(path, pattern string, perm fs.FileMode, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), pattern)
	if err != nil {
		return err
	}
	err = write(tmp)
	if err == nil {
		err = tmp.Chmod(perm)
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
