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
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/layout"
	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/huggingface"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// file is one file of a data set.
type file struct {
	path string // to open
	// name is relative to the folder, with "/"; for a single file that of the file.
	name string
	// shown is the file as the person knows it.
	shown  string
	format reader.Format
}

// findSource returns the files of a source.
func findSource(src source.Source) ([]file, layout.Choice, error) {
	info, err := os.Stat(src.Path)
	if err != nil {
		return nil, layout.Choice{}, withoutPath(src.Name, err)
	}
	if info.IsDir() {
		return findInFolder(src)
	}
	place, _ := source.Parse(src.Name)
	format, ok := reader.FormatOf(src.Path)
	switch {
	case !info.Mode().IsRegular(): // a pipe may never be written
		return nil, layout.Choice{}, fmt.Errorf("%s: it is neither a file nor a folder", src.Name)
	case !ok:
		return nil, layout.Choice{}, fmt.Errorf("%s: %w", src.Name, reader.ErrUnknownFormat)
	case !src.Selection.IsZero():
		return nil, layout.Choice{}, fmt.Errorf("%s: a file has neither configurations nor splits; leave %q out", src.Name, src.Selection)
	}
	var notes []string
	if src.Again {
		notes = append(notes, fmt.Sprintf("%s names the same file", src.SharedWith))
	}
	f := file{path: src.Path, name: path.Base(filepath.ToSlash(place)), shown: place, format: format}
	return []file{f}, layout.Choice{Notes: notes}, nil
}

// findInFolder returns the files of the configuration and the split of a folder
// that a source means.
func findInFolder(src source.Source) ([]file, layout.Choice, error) {
	dir, err := filepath.EvalSymlinks(src.Path)
	if err != nil {
		return nil, layout.Choice{}, withoutPath(src.Name, err)
	}
	names, linked, err := findFiles(dir)
	if err != nil {
		return nil, layout.Choice{}, withoutPath(src.Name, err)
	}
	if len(names) == 0 {
		return nil, layout.Choice{}, fmt.Errorf("%s: %w: no file in the folder is of a format that can be read", src.Name, ErrEmpty)
	}
	card, err := readCard(dir)
	if err != nil {
		return nil, layout.Choice{}, withoutPath(src.Name, err)
	}
	l, err := layout.Of(names, card)
	if err != nil {
		return nil, layout.Choice{}, fmt.Errorf("%s: %w", src.Name, err)
	}
	choice, err := l.Choose(src)
	if err != nil {
		return nil, layout.Choice{}, err
	}
	if err := checkShards(choice.Files, names, len(card) > 0); err != nil {
		return nil, layout.Choice{}, fmt.Errorf("%s: %w", src.Name, err)
	}
	for _, name := range linked {
		choice.Notes = append(choice.Notes, fmt.Sprintf("the folder %s is a link, and is not read", name))
	}
	place, _ := source.Parse(src.Name)
	var files []file
	for _, name := range choice.Files {
		format, _ := reader.FormatOf(name)
		if len(files) > 0 && format != files[0].format {
			return nil, layout.Choice{}, fmt.Errorf("%s: the folder mixes formats: %s and %s", src.Name, files[0].name, name)
		}
		files = append(files, file{
			path: filepath.Join(dir, filepath.FromSlash(name)), name: name, shown: strings.TrimSuffix(place, "/") + "/" + name, format: format,
		})
	}
	return files, choice, nil
}

// readCard returns the card of a folder; nil if it has none, or one that is too
// large to be one.
func readCard(dir string) ([]byte, error) {
	path := filepath.Join(dir, layout.CardName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe may never be written
		return nil, fmt.Errorf("%s is neither a file nor a link to a file", layout.CardName)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, layout.MaxCard))
}

// withoutPath is an error with the name that the person knows, not the path here.
func withoutPath(name string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", name, e.Err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// findFiles returns the names of the data files of a folder and its subfolders,
// sorted. It follows links to files, because the cache of the Hub's own client
// consists of them, and returns links to folders, which may lead anywhere.
func findFiles(dir string) (names, linked []string, err error) {
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
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		_, ok := reader.FormatOf(d.Name())
		isData := ok && !d.IsDir() && !huggingface.IsDatasetMetadata(d.Name())
		if !isData && d.Type()&fs.ModeSymlink == 0 {
			return nil
		}
		info, err := os.Stat(path)
		switch {
		case err != nil && isData:
			return err
		case err != nil: // a link into nowhere that is no data
		case info.IsDir():
			linked = append(linked, filepath.ToSlash(rel))
		case isData && info.Mode().IsRegular():
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(names)
	return names, linked, err
}

// digest returns the digest of files (see [Info.SHA256]) and their size.
func digest(ctx context.Context, files []file) (sum string, size int64, err error) {
	list := sha256.New()
	for _, f := range files {
		named := progress.Doing(ctx, "reading "+f.shown)
		one, n, err := digestFile(ctx, f.path)
		named()
		if err != nil {
			return "", 0, withoutPath(f.shown, err)
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
