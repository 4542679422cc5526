// Package filelock tells the files and folders that a living process holds from
// those that a dead one left behind. A file is held from [Take] until it is
// closed or the process ends, however it ends: the system lets go, nobody has
// to clean up.
//
// Whoever makes a file and takes it has to look whether it [Is] still the one
// of that name: someone who cleans up may have been faster than the taking.
// Where the system, or the file system, has no such locks, nothing can be
// taken, and nothing is ever told to be left behind.
package filelock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

var (
	// ErrTaken says that somebody holds the file.
	ErrTaken = errors.New("another holds it")
	// ErrUnsupported says that files cannot be held here.
	ErrUnsupported = errors.New("files cannot be locked here")
)

// Is reports whether an open file still is the one at path.
func Is(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(path)
	return err == nil && os.SameFile(mine, there)
}

// MakeDir makes a folder in parent, named like the patterns of
// [os.MkdirTemp], and holds it until it is closed.
func MakeDir(parent, pattern string) (*os.File, error) {
	const tries = 10 // each lost one means that somebody cleaned up just then
	for range tries {
		dir, err := os.MkdirTemp(parent, pattern)
		if err != nil {
			return nil, err
		}
		f, err := os.Open(dir)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = Take(f)
		if err == nil && Is(f, dir) || errors.Is(err, ErrUnsupported) {
			return f, nil
		}
		_ = f.Close() // nothing was written
	}
	return nil, fmt.Errorf("make a folder in %s: others remove it at once", parent)
}

// Sweep removes the folders of parent that match a pattern of [filepath.Glob]
// and that nobody holds, and returns how many they were.
func Sweep(parent, pattern string) (removed int, err error) {
	dirs, err := filepath.Glob(filepath.Join(parent, pattern))
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, dir := range dirs {
		gone, err := removeFree(dir)
		if gone {
			removed++
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// removeFree removes a folder unless somebody holds it. It is held meanwhile,
// so that of several who clean up one removes it.
func removeFree(dir string) (bool, error) {
	f, err := os.Open(dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return false, nil // somebody was faster, or it is another user's
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if Take(f) != nil || !Is(f, dir) {
		return false, nil
	}
	return true, os.RemoveAll(dir)
}
