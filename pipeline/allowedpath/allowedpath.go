// Package allowedpath keeps the paths that come in a request below the folders that
// a service allows.
package allowedpath

import (
	"errors"
	"fmt"
	"io/fs"
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
		root, err := located(root)
		if err != nil {
			continue
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		found, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(root, found); err == nil && filepath.IsLocal(rel) {
			if _, err := os.Stat(found); err == nil {
				return found, nil
			}
		}
	}
	if len(roots) == 0 {
		return "", fmt.Errorf("%w: the service has none", ErrOutside)
	}
	return "", fmt.Errorf("%w (%s)", ErrOutside, strings.Join(roots, ", "))
}

// FindNew is [Find] for what need not be there yet: the links on the way to it
// are resolved as far as there is a way. One that leads to nothing is refused,
// since whoever writes there makes what it leads to.
func FindNew(roots []string, name string) (string, error) {
	for _, root := range roots {
		root, err := located(root)
		if err != nil {
			continue
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		found, err := resolve(filepath.Clean(path))
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(root, found); err == nil && filepath.IsLocal(rel) {
			return found, nil
		}
	}
	return "", fmt.Errorf("%w (%s)", ErrOutside, strings.Join(roots, ", "))
}

// resolve resolves the links of the part of a path that is there.
func resolve(path string) (string, error) {
	found, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s is a link to nothing", path)
	}
	parent, err := resolve(filepath.Dir(path)) // which ends at /, which is there
	return filepath.Join(parent, filepath.Base(path)), err
}

// located is where a root really is.
func located(root string) (string, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
