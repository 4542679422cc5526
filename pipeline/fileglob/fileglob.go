// Package fileglob finds files in a folder by a pattern. A folder's name may hold the
// characters of patterns, such as [, which path/filepath.Glob would read as such.
package fileglob

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
)

// In returns the paths of what is in a folder and matches a pattern of [path.Match], sorted;
// none if the folder is not there. The error is [path.ErrBadPattern].
func In(folder, pattern string) ([]string, error) {
	found, err := fs.Glob(os.DirFS(cmp.Or(folder, ".")), pattern)
	for i, name := range found {
		found[i] = filepath.Join(folder, filepath.FromSlash(name))
	}
	return found, err
}
