//go:build unix

package filelock

import (
	"errors"
	"os"
	"syscall"
)

// Take holds an open file or folder. The error is [ErrTaken] when somebody
// holds it, and wraps [ErrUnsupported] where that cannot be told.
func Take(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrTaken
		default:
			return errors.Join(ErrUnsupported, err)
		}
	}
}
