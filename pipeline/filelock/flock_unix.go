//go:build unix

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// TryLock locks an open file or folder and does not wait. The error is
// [ErrLocked] if another open file has the lock, and wraps [ErrUnsupported]
// where files cannot be locked.
func TryLock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		default:
			return errors.Join(ErrUnsupported, err)
		}
	}
}
