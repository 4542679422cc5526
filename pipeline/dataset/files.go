package dataset

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
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// file is one file of a data set.
type file struct {
	path   string // to open
	name   string // relative to the folder, with "/"
	format Format
}

// findSource returns the files of a source.
func findSource(src source.Source) ([]file, error) {
	info, err := os.Stat(src.Path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		format, ok := formatOf(info.Name())
		if !ok {
			return nil, ErrUnknownFormat
		}
		return []file{{path: src.Path, name: info.Name(), format: format}}, nil
	}
	files, err := findFiles(src.Path)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: no file in the folder is of a format that can be read", ErrEmpty)
	}
	files, err = chooseSplit(src, files)
	if err != nil {
		return nil, err
	}
	for _, f := range files[1:] {
		if f.format != files[0].format {
			return nil, fmt.Errorf("the folder mixes formats: %s and %s", files[0].name, f.name)
		}
	}
	return files, nil
}

// findFiles returns the data files of a folder and its subfolders, sorted by name.
// It follows links to files, because the cache of the Hub's own client consists
// of them.
func findFiles(dir string) ([]file, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	var files []file
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != dir && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		format, ok := formatOf(d.Name())
		if d.IsDir() || !ok || huggingface.IsDatasetMetadata(d.Name()) {
			return nil
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files = append(files, file{path: path, name: filepath.ToSlash(rel), format: format})
		return nil
	})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, err
}

// digest returns the digest of files (see [Info.SHA256]) and their size.
func digest(ctx context.Context, files []file) (sum string, size int64, err error) {
	list := sha256.New()
	for _, f := range files {
		one, n, err := digestFile(ctx, f.path)
		if err != nil {
			return "", 0, err
		}
		size += n
		if len(files) == 1 {
			return one, size, nil
		}
		fmt.Fprintf(list, "%s  %s\n", one, f.name) // a hash never returns an error
	}
	return hex.EncodeToString(list.Sum(nil)), size, nil
}

func digestFile(ctx context.Context, path string) (_ string, _ int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h := sha256.New()
	n, err := io.Copy(h, contextReader{ctx, f})
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// contextReader returns the error of its context when that is cancelled, and
// counts the bytes as progress of its job.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	progress.Advance(c.ctx, int64(n))
	return n, err
}
