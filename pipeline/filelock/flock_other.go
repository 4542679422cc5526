//go:build !unix

package filelock

import "os"

// TryLock returns [ErrUnsupported]: this system has no flock(2).
func TryLock(*os.File) error { return ErrUnsupported }
