// Package allowedpath resolves paths from requests and refuses those outside the
// folders that a service allows.
//
//	path, err := allowedpath.Find(roots, "data/train.jsonl")
//
// Links are resolved before the check, so a link can not lead outside. The check
// is not repeated when the path is opened, so a process that can write below the
// roots can change a link in between.
package allowedpath

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrOutside means that a path does not exist below any root. It is the same for
// paths that exist outside, so that a request can not find out which files exist.
var ErrOutside = errors.New("no such file or folder below the data roots")

// Find returns the path with all links resolved if it is below one of the roots. A
// relative path is looked up below each root in order. The error wraps
// [ErrOutside].
func Find(roots []string, name string) (string, error) {
	if found, ok := find(roots, name, filepath.EvalSymlinks); ok {
		return found, nil
	}
	if len(roots) == 0 {
		return "", fmt.Errorf("%w: the service has none", ErrOutside)
	}
	return "", fmt.Errorf("%w (%s)", ErrOutside, strings.Join(roots, ", "))
}

// FindNew is [Find] for a path that does not have to exist. The links in its
// existing part are resolved. A link to a path that does not exist is refused,
// because writing to it would create that path.
func FindNew(roots []string, name string) (string, error) {
	if found, ok := find(roots, name, resolveExisting); ok {
		return found, nil
	}
	return "", fmt.Errorf("%w (%s)", ErrOutside, strings.Join(roots, ", "))
}

// find returns the first resolved path that is below its root.
func find(roots []string, name string, resolve func(path string) (string, error)) (string, bool) {
	for _, root := range roots {
		root, err := resolveRoot(root)
		if err != nil {
			continue
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		found, err := resolve(path)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(root, found); err == nil && filepath.IsLocal(rel) {
			return found, true
		}
	}
	return "", false
}

// resolveExisting resolves the links in the existing part of a path.
func resolveExisting(path string) (string, error) {
	path = filepath.Clean(path)
	found, err := filepath.EvalSymlinks(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return found, err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("%s is a link to nothing", path)
	}
	parent, err := resolveExisting(filepath.Dir(path)) // the recursion ends at /, which exists
	return filepath.Join(parent, filepath.Base(path)), err
}

// resolveRoot returns the absolute path of a root with all links resolved.
func resolveRoot(root string) (string, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
