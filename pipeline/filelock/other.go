//go:build !unix

package filelock

import "os"

// Take holds an open file or folder; here it cannot.
func Take(*os.File) error { return ErrUnsupported }
