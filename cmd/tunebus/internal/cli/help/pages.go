package help

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pageHead and pageHeadEnd are around the name in the first line of a page, by which a page of
// another version is known, too.
const (
	pageHead    = `.TH "`
	pageHeadEnd = `" "1" "" "tunebus" "tunebus manual"`
)

// checkPages refuses to replace files that are no pages of the program.
func checkPages(dir string, pages map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Size() > 0 && !isPage(path) { // an empty one is the rest of a full disk
			return fmt.Errorf("%s is there and no page that tunebus wrote, and a page would replace it; move it away, or name another folder", path)
		}
	}
	return nil
}

// isPage reports whether a file begins as a page does. One that cannot be read is none.
func isPage(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only read
	head, _ := bufio.NewReaderSize(f, 4096).ReadSlice('\n')
	line := strings.TrimSuffix(string(head), "\n")
	return strings.HasPrefix(line, pageHead) && strings.HasSuffix(line, pageHeadEnd)
}

// writePages writes pages into a folder.
func writePages(dir string, pages map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { //nolint:gosec // a page is for everybody
			return err
		}
	}
	return nil
}
