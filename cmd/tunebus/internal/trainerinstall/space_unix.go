//go:build unix

package trainerinstall

import "golang.org/x/sys/unix"

// freeBytes is how much room there is for this user on the disk of a folder; ok is false
// if it cannot be told.
func freeBytes(folder string) (free int64, ok bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:unconvert // the types differ from system to system
}
