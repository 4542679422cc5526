package textfile

import (
	"io"
	"os"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
)

// pointerPrefix is how a file begins that Git LFS has in the place of a large one.
const pointerPrefix = "version https://git-lfs."

// CheckFetched returns the error of a file that Git LFS did not fetch. What else is
// wrong with a file is found when it is read.
func CheckFetched(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	start := make([]byte, len(pointerPrefix))
	if _, err := io.ReadFull(f, start); err != nil || string(start) != pointerPrefix {
		return nil
	}
	return fault.At(0, "it is a pointer of Git LFS, and the file was not fetched; run git lfs pull in its folder")
}
