package structconf

import (
	"fmt"
	"os"
)

// ReadFile reads a file of a configuration. A device or a pipe is refused: it may never end, and
// has its content once, while the file is read more than once.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a pipe, a socket or a device; write its content to a file", path)
	}
	return os.ReadFile(path)
}
