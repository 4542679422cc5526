//go:build !unix

package opscmd

import "io/fs"

// inode identifies a file that may have several names.
type inode struct{}

// inodeOf knows no such files here.
func inodeOf(fs.FileInfo) (id inode, ok bool) { return inode{}, false }
