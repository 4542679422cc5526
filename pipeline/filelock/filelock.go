// Package filelock locks open files and folders with flock(2), so that a lock
// ends with the process that holds it, however the process ends.
//
// Three uses follow from that. [LockDir] lets processes that write into one
// folder take turns. [MkdirLocked] makes a folder that is locked as long as
// its process uses it. [RemoveUnlocked] removes the files and folders whose
// processes died:
//
//	dir, err := filelock.MkdirLocked(parent, "scratch-*")
//	if err != nil {
//		return err
//	}
//	defer dir.Close() // a lock ends when its file is closed
//	...
//	removed, err := filelock.RemoveUnlocked(parent, "scratch-*") // leaves dir alone
//
// Code that creates a file and then locks it has to check that the name still
// leads to this file: a cleanup may remove it before it is locked.
//
// Where the system or the file system has no such locks, [TryLock] and
// [LockDir] fail with [ErrUnsupported], and [RemoveUnlocked] removes nothing.
//
// The package is ours because a library such as gofrs/flock opens the file
// itself, and the check needs the file that is locked.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

var (
	// ErrLocked says that another open file holds the lock, in this process or
	// in another one.
	ErrLocked = errors.New("the file is locked by another process")
	// ErrUnsupported says that files cannot be locked here.
	ErrUnsupported = errors.New("files cannot be locked here")
)

// lockDirTimeout limits the wait of [LockDir]. A process that is stopped can
// keep its lock for any time; a process that died keeps none.
const lockDirTimeout = 10 * time.Second

// LockDir locks a folder that exists, and waits up to 10 s for the lock. The
// lock is on the folder itself, so it leaves no file behind.
func LockDir(ctx context.Context, dir string) (unlock func() error, err error) {
	return lockDir(ctx, dir, lockDirTimeout)
}

func lockDir(ctx context.Context, dir string, timeout time.Duration) (unlock func() error, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	if err := waitForLock(ctx, f, timeout); err != nil {
		return nil, fmt.Errorf("lock folder %s: %w", dir, errors.Join(err, f.Close()))
	}
	return f.Close, nil
}

// waitForLock polls: flock has no wait that a context can end.
func waitForLock(ctx context.Context, f *os.File, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := TryLock(f); !errors.Is(err, ErrLocked) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-poll.C:
		case <-deadline.C:
			return fmt.Errorf("another process has held the lock for %s", timeout)
		}
	}
}

// MkdirLocked makes a folder in parent and locks it. The pattern is that of
// [os.MkdirTemp]. The lock ends when the returned file is closed.
func MkdirLocked(parent, pattern string) (*os.File, error) {
	const tries = 10 // each try that fails met a cleanup at that very moment
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
		err = TryLock(f)
		if err == nil && isAt(f, dir) || errors.Is(err, ErrUnsupported) {
			return f, nil
		}
		_ = f.Close() // nothing was written
	}
	return nil, fmt.Errorf("make a folder in %s: other processes remove it at once", parent)
}

// RemoveUnlocked removes the files and folders in parent whose name matches
// the pattern of [filepath.Match] and that no process has locked. It returns
// how many it removed. A parent that does not exist has none.
func RemoveUnlocked(parent, pattern string) (removed int, err error) {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	errs := []error{err}
	for _, e := range entries {
		match, err := filepath.Match(pattern, e.Name())
		if err != nil {
			return removed, err
		}
		if !match {
			continue
		}
		ok, err := removeUnlocked(filepath.Join(parent, e.Name()))
		if ok {
			removed++
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// removeUnlocked holds the lock while it removes, so that one of several
// cleanups removes the entry.
func removeUnlocked(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return false, nil // another cleanup was faster, or another user owns it
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if TryLock(f) != nil || !isAt(f, path) {
		return false, nil
	}
	return true, os.RemoveAll(path)
}

// isAt reports whether path leads to this open file and to no other one, nor
// to a link.
func isAt(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}
