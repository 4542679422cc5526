package transfer

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

// mediaTypeTar is the media type of the artifact of a folder.
const mediaTypeTar = "application/x-tar"

// ErrEmptyFolder means that a folder has no files, so there is nothing to
// store.
var ErrEmptyFolder = errors.New("the folder holds no file")

// packDir writes the files below dir as a tar stream that depends only on
// their names and contents: sorted by name, without times, owners and modes. A
// link to a file is stored as that file. Folders without files are omitted.
func packDir(ctx context.Context, w io.Writer, dir string) error {
	dir, err := filepath.EvalSymlinks(dir) // WalkDir does not follow a link, not even its root
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
	slices.Sort(names) // WalkDir sorts each folder by itself: a/b comes before a.b
	return names, err
}

func packFile(t *tar.Writer, dir, name string) (err error) {
	file := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Stat(file) // before Open, because opening a named pipe blocks
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
		Typeflag: tar.TypeReg,
		Name:     name,
		Size:     info.Size(),
		Mode:     0o644,
		ModTime:  time.Unix(0, 0),
		Format:   tar.FormatPAX,
	}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	// If the file grew meanwhile, this write fails; if it shrank, the next
	// header does.
	_, err = io.Copy(t, f)
	return err
}

// unpackDir writes the files of a tar stream below root, which is empty. It
// accepts only regular files and folders, with names inside root, each name
// once, and at most limit bytes in all: a sparse entry can expand to more bytes
// than the stream has.
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
	// The bytes after the end mark belong to the digest.
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

// checkEntry refuses names that could lead outside the folder on any operating
// system.
func checkEntry(name string) error {
	local, err := filepath.Localize(name)
	if err != nil || !filepath.IsLocal(local) || name == "." || strings.ContainsAny(name, `\:`) {
		return fmt.Errorf("entry %q is no name inside a folder", name)
	}
	return nil
}
