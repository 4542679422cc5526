package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/pipeline/progress"
)

// ErrEmptyFolder means that a folder has no files, so there is nothing to
// store.
var ErrEmptyFolder = errors.New("the folder holds no file")

// Digester returns the size and the SHA-256 of a file.
type Digester func(ctx context.Context, path string) (size int64, sum string, err error)

// Of lists the files below a folder. A link to a file is listed as that file;
// folders without files are left out. The error for a folder without files is
// [ErrEmptyFolder].
func Of(ctx context.Context, dir string, digest Digester) (Manifest, error) {
	dir, err := filepath.EvalSymlinks(dir) // WalkDir does not follow a link, not even its root
	if err != nil {
		return Manifest{}, err
	}
	names, err := Names(dir)
	if err != nil {
		return Manifest{}, err
	}
	return ofSorted(ctx, dir, names, digest)
}

// OfFiles lists some of the files below a folder, whose names have "/" between their
// parts.
func OfFiles(ctx context.Context, dir string, names []string, digest Digester) (Manifest, error) {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		if err := CheckPath(name); err != nil {
			return Manifest{}, err
		}
	}
	return ofSorted(ctx, dir, names, digest)
}

func ofSorted(ctx context.Context, dir string, names []string, digest Digester) (Manifest, error) {
	var m Manifest
	for _, name := range names {
		if err := context.Cause(ctx); err != nil {
			return Manifest{}, err
		}
		size, sum, err := digest(ctx, filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return Manifest{}, err
		}
		m.Files = append(m.Files, File{Path: name, Size: size, SHA256: sum})
	}
	return m, nil
}

// Names are the names of the files below a folder, with "/" between their parts,
// sorted. The error for a folder without files is [ErrEmptyFolder].
func Names(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if err := CheckPath(name); err != nil {
			return err
		}
		names = append(names, name)
		return nil
	})
	if err == nil && len(names) == 0 {
		err = ErrEmptyFolder
	}
	slices.Sort(names) // WalkDir sorts each folder by itself: a/b comes before a.b
	return names, err
}

// Digest is the [Digester] that reads the file. It counts the bytes as progress
// of the job of ctx.
func Digest(ctx context.Context, path string) (size int64, sum string, err error) {
	defer progress.Doing(ctx, "reading "+path)()
	f, err := OpenRegular(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, Reader(ctx, path, f))
	if err != nil {
		return 0, "", err
	}
	return size, hex.EncodeToString(h.Sum(nil)), nil
}

// OpenRegular opens a file, or a link to one, and nothing else: opening a named
// pipe would block.
func OpenRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is neither a file nor a link to a file", path)
	}
	return os.Open(path)
}
