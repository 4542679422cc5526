// Package roots keeps the paths that come in a request below the folders that
// a service allows.
package roots

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrOutside says that a path is not below any of the roots, or not there at
// all: whoever asks learns nothing about what lies outside.
var ErrOutside = errors.New("no such file or folder below the data roots")

// Find resolves a path and its links and returns where it really is, if that
// is below one of the roots. A relative path is tried under each root in
// turn. The error wraps [ErrOutside].
func Find(roots []string, name string) (string, error) {
	for _, root := range roots {
		root, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(root, real); err == nil && filepath.IsLocal(rel) {
			if _, err := os.Stat(real); err == nil {
				return real, nil
			}
		}
	}
	if len(roots) == 0 {
		return "", fmt.Errorf("%w: the service has none", ErrOutside)
	}
	return "", fmt.Errorf("%w (%s)", ErrOutside, strings.Join(roots, ", "))
}
