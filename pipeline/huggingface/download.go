package huggingface

import (
	"context"
	"crypto/sha1" //nolint:gosec // git names a blob by its SHA-1
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// downloader downloads and verifies files.
type downloader struct {
	api      *api
	parallel int
	tries    int
	log      *slog.Logger
}

// all downloads the files of a commit to a folder, several at a time.
func (d downloader) all(ctx context.Context, r repository, commit, dir string, files []file) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	var total, done atomic.Int64
	for _, f := range files {
		total.Add(f.Size)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(d.parallel)
	for _, f := range files {
		group.Go(func() error {
			if err := d.one(ctx, r, commit, dir, f); err != nil {
				return err
			}
			d.log.Info("file downloaded from the Hub",
				"repository", r.String(), "file", f.Path, "bytes", done.Add(f.Size), "of", total.Load())
			return nil
		})
	}
	return group.Wait()
}

// one downloads a file and repeats broken transfers. A file gets its name only
// after it was verified, so one that exists with the right size is complete.
func (d downloader) one(ctx context.Context, r repository, commit, dir string, f file) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	if info, err := os.Stat(path); err == nil && info.Size() == f.Size {
		return nil
	}
	what := r.String() + ": " + f.Path
	var err error
	for range d.tries {
		err = d.transfer(ctx, what, d.api.fileURL(r, commit, f.Path), path, f)
		if err == nil || ctx.Err() != nil || !errors.Is(err, ErrBroken) {
			return err
		}
		d.log.Warn("download from the Hub is broken; retrying", "file", what, "error", err)
	}
	return err
}

// transfer downloads a file once, verifies it and gives it its name.
func (d downloader) transfer(ctx context.Context, what, address, path string, f file) error {
	response, err := d.api.get(ctx, what, address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	defer progress.Doing(ctx, "fetching "+what+" from the Hub at "+d.api.base.Host)()
	err = atomicfile.Write(path, func(w io.Writer) error {
		return f.copyVerified(w, progress.Reader(ctx, response.Body))
	}, atomicfile.Options{TempPattern: ".fetching-*"})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// copyVerified copies the content of the file and compares its size and digest.
// The error wraps [ErrBroken], unless writing failed.
func (f file) copyVerified(w io.Writer, r io.Reader) error {
	digest, want := f.digest()
	limited := io.LimitReader(r, f.Size+1) // one more byte shows that the file is longer
	n, err := io.Copy(io.MultiWriter(w, digest), limited)
	_, isWriteError := errors.AsType[*os.PathError](err) // for example a full disk
	switch {
	case isWriteError:
		return err
	case err != nil:
		return fmt.Errorf("%w after %d of %d bytes: %w", ErrBroken, n, f.Size, err)
	case n != f.Size:
		return fmt.Errorf("%w: %d bytes, want %d", ErrBroken, n, f.Size)
	case hex.EncodeToString(digest.Sum(nil)) != want:
		return fmt.Errorf("%w: its digest is not the listed one", ErrBroken)
	}
	return nil
}

// digest returns a hash for the content of the file and the expected sum: the
// SHA-256 of files in LFS, git's SHA-1 of the blob for the others.
func (f file) digest() (hash.Hash, string) {
	if f.LFS != nil {
		return sha256.New(), f.LFS.OID
	}
	h := sha1.New() //nolint:gosec // see above
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return h, f.OID
}
