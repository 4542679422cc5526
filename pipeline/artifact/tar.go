package artifact

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// mediaTypeTar is the media type of a folder stored as one stream.
const mediaTypeTar = "application/x-tar"

// ErrEmptyFolder says that a folder holds no file, so that there is nothing to
// store.
var ErrEmptyFolder = errors.New("the folder holds no file")

// packDir writes the files below dir as a tar stream that depends on their
// names and contents alone: sorted by name, no times, owners or modes. A link
// to a file is stored as the file; folders without files are left out.
func packDir(ctx context.Context, w io.Writer, dir string) error {
	dir, err := filepath.EvalSymlinks(dir) // the walk would take a link for a file
	if err != nil {
		return err
	}
	names, err := listDir(dir)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return ErrEmptyFolder
	}
	t := tar.NewWriter(w)
	for _, name := range names {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := packFile(t, dir, name); err != nil {
			return err
		}
	}
	return t.Close()
}

func listDir(dir string) ([]string, error) {
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
		if err := checkEntry(name); err != nil {
			return err
		}
		names = append(names, name)
		return nil
	})
	slices.Sort(names) // the walk sorts a/b before a.b, by folder
	return names, err
}

func packFile(t *tar.Writer, dir, name string) (err error) {
	file := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Stat(file) // before it is opened: opening a pipe waits for its writer
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a link to a file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644,
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	// A file that grew meanwhile is refused by the writer, one that shrank by
	// the next header.
	_, err = io.Copy(t, f)
	return err
}

// unpackDir writes the files of a tar stream below root, which is empty. It
// accepts plain files and folders with names inside root, each once, and no
// more bytes than limit: sparse entries can claim more than the stream has.
func unpackDir(ctx context.Context, r io.Reader, root *os.Root, limit int64) error {
	t := tar.NewReader(r)
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(h.Name, "/")
		if err := checkEntry(name); err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			if err := root.MkdirAll(name, 0o755); err != nil {
				return err
			}
		case tar.TypeReg:
			if limit -= h.Size; limit < 0 {
				return fmt.Errorf("entry %q: the files are larger than the archive", name)
			}
			if err := unpackFile(t, root, name); err != nil {
				return err
			}
		default:
			return fmt.Errorf("entry %q is neither a file nor a folder", name)
		}
	}
	// What follows the end mark belongs to the digest.
	_, err := io.Copy(io.Discard, r)
	return err
}

func unpackFile(r io.Reader, root *os.Root, name string) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// checkEntry refuses a name that could lead outside the folder on any system.
func checkEntry(name string) error {
	local, err := filepath.Localize(name)
	if err != nil || !filepath.IsLocal(local) || name == "." || strings.ContainsAny(name, `\:`) {
		return fmt.Errorf("entry %q is no name inside a folder", name)
	}
	return nil
}
