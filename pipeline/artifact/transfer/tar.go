package transfer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// mediaTypeTar is the media type of the artifact of a folder that an earlier
// version stored: one tar stream.
const mediaTypeTar = "application/x-tar"

// unpackInto unpacks an artifact. If the artifact is damaged, it returns the
// [artifact.CorruptError] and not the errors in the tar stream that the damage
// causes.
func (f fetcher) unpackInto(ctx context.Context, ref events.Reference, dir string) error {
	r, err := f.store.Get(ctx, ref)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	err = unpackDir(ctx, r, root, ref.Size)
	if err != nil {
		_, drainErr := io.Copy(io.Discard, r)
		if corrupt, ok := errors.AsType[*artifact.CorruptError](drainErr); ok {
			err = corrupt
		}
	}
	return errors.Join(err, root.Close(), r.Close())
}

// digestOf is the digest that the artifact of a folder has, in the form that ref
// has.
func digestOf(ctx context.Context, ref events.Reference, dir string) (string, error) {
	h := sha256.New()
	if manifest.Is(ref) {
		m, err := manifest.Of(ctx, dir, manifest.Digest)
		if err != nil {
			return "", err
		}
		text, err := m.Encode()
		if err != nil {
			return "", err
		}
		h.Write(text)
	} else if err := packDir(ctx, h, dir); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// packDir writes the files below dir as the tar stream that an earlier version
// stored. It depends only on their names and contents: sorted by name, without
// times, owners and modes.
func packDir(ctx context.Context, w io.Writer, dir string) error {
	dir, err := filepath.EvalSymlinks(dir) // as [manifest.Of] does
	if err != nil {
		return err
	}
	names, err := manifest.Names(dir)
	if err != nil {
		return err
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

func packFile(t *tar.Writer, dir, name string) (err error) {
	f, err := manifest.OpenRegular(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
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
		if err := manifest.CheckPath(name); err != nil {
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
