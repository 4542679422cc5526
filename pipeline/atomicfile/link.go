package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Link gives the file from a second name, path, and takes that name from another
// file. The temporary name is in the folder tempDir. It fails where both are not
// on one file system.
func Link(from, path, tempDir string) error {
	temporary, err := os.MkdirTemp(tempDir, TempPattern)
	if err != nil {
		return notCreated(path, err)
	}
	second := filepath.Join(temporary, "link")
	err = os.Link(from, second)
	if err == nil {
		err = os.Rename(second, path)
	}
	if err != nil {
		err = namedFor(path, second, fmt.Errorf("link %s: %w", path, err))
	}
	return errors.Join(err, os.RemoveAll(temporary))
}
