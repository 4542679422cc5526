package localinput

import (
	"fmt"
	"io/fs"
	"syscall"
	"time"
)

// timesOf returns the times of change of a file as a text, and the newest of
// them. That of the inode cannot be set back, unlike that of the content.
func timesOf(info fs.FileInfo) (text string, newest time.Time) {
	newest = info.ModTime()
	text = fmt.Sprint(newest.UnixNano())
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		changed := time.Unix(s.Ctim.Unix())
		text += fmt.Sprintf(" %d %d", changed.UnixNano(), s.Ino)
		if changed.After(newest) {
			newest = changed
		}
	}
	return text, newest
}
