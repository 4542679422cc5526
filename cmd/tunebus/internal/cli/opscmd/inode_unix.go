//go:build unix

package opscmd

import (
	"io/fs"
	"syscall"
)

// inode identifies a file that may have several names.
type inode struct{ device, number uint64 }

// inodeOf is the identity of a file with several names; ok is false for another one.
func inodeOf(info fs.FileInfo) (id inode, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || s.Nlink < 2 {
		return inode{}, false
	}
	return inode{uint64(s.Dev), s.Ino}, true //nolint:unconvert // the type of Dev differs between systems
}
