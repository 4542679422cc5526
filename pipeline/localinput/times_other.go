//go:build !linux

package localinput

import (
	"fmt"
	"io/fs"
	"time"
)

// timesOf returns the time of change of a file as a text, and itself.
func timesOf(info fs.FileInfo) (text string, newest time.Time) {
	return fmt.Sprint(info.ModTime().UnixNano()), info.ModTime()
}
