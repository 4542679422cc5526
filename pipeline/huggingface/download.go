package huggingface

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// downloader downloads and verifies files.
type downloader struct {
	api      *hubapi.Client
	cache    cache
	parallel int
	tries    int
	log      *slog.Logger
}

// all brings the files of a commit into the cache, several at a time.
func (d downloader) all(ctx context.Context, r hubapi.Repository, commit string, files []hubapi.File) error {
	if err := os.MkdirAll(d.cache.commitDir(r, commit), 0o755); err != nil {
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
			fetched, err := d.one(ctx, r, commit, f)
			if n := done.Add(f.Size); err == nil && fetched {
				d.log.Info("file downloaded from the Hub", "repository", r.String(), "file", f.Path, "bytes", n, "of", total.Load())
			}
			return err
		})
	}
	return group.Wait()
}

// one brings a file into the cache, unless it is there. fetched is set if it was
// downloaded. A file gets its name only after it was verified.
func (d downloader) one(ctx context.Context, r hubapi.Repository, commit string, f hubapi.File) (fetched bool, err error) {
	what := r.String() + ": " + f.Path
	err = d.cache.use(r, commit, f)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.fetch(ctx, r, commit, what, f); err != nil {
			return false, err
		}
		fetched, err = true, d.cache.use(r, commit, f)
	}
	if err == nil {
		err = point(d.cache, r, commit, f, fetched)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	return fetched, nil
}

// progressed is how many new bytes make up for a broken transfer.
const progressed = 1 << 20

// fetch downloads a file to its blob, and goes on where a transfer broke off. Tries
// that bring the file no further are limited.
func (d downloader) fetch(ctx context.Context, r hubapi.Repository, commit, what string, f hubapi.File) error {
	p, err := openPartial(d.cache.blobPath(r, f), f)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { _ = p.Close() }() // what stays is compared with its digest by whoever goes on
	for try := 1; ; try++ {
		before := p.size
		err := d.transfer(ctx, r, what, d.api.FileURL(r, commit, f.Path), p)
		switch {
		case err == nil:
			return p.finish()
		case ctx.Err() != nil, !errors.Is(err, ErrBroken):
			return err
		}
		if p.size-before >= progressed {
			try = 0
		}
		if try >= d.tries {
			return err
		}
		d.log.Warn("download from the Hub is broken; going on", "file", what, "at", p.size, "of", f.Size, "error", err)
	}
}

// transfer downloads the rest of a file and verifies the whole.
func (d downloader) transfer(ctx context.Context, r hubapi.Repository, what, address string, p *partial) error {
	request := hubapi.Request{Repository: r, What: what, Address: address}
	if p.size == p.file.Size && p.size > 0 {
		return p.verify(what)
	}
	if p.size > 0 {
		request.Header = map[string]string{"Range": "bytes=" + strconv.FormatInt(p.size, 10) + "-"}
	}
	response, err := d.api.Do(ctx, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if p.size > 0 && !continues(response, p.size) { // the server sends the whole
		if err := p.reset(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	defer progress.Doing(ctx, "fetching "+what+" from the Hub at "+d.api.Host())()
	n, err := copyVerified(p, progress.Reader(ctx, response.Body), p.file, p.sum, p.size)
	p.size = n
	if errors.Is(err, errWrong) {
		err = errors.Join(err, p.reset())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// continues reports whether an answer begins at an offset of the file.
func continues(response *http.Response, at int64) bool {
	return response.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(response.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(at, 10)+"-")
}

// errWrong means that a file is not the listed one, so that nothing of it is of use.
var errWrong = fmt.Errorf("%w: it is not the listed file", ErrBroken)

// newSum returns the hash of a file.
func newSum(f hubapi.File) hash.Hash {
	h, _ := f.Digest()
	return h
}

// copyVerified copies the content of a file behind the bytes that sum has already,
// and compares its size and digest. It returns how many bytes of the file there are
// now. The error wraps [ErrBroken], unless writing failed.
func copyVerified(w io.Writer, r io.Reader, f hubapi.File, sum hash.Hash, have int64) (int64, error) {
	_, want := f.Digest()
	limited := io.LimitReader(r, f.Size-have+1) // one more byte shows that the file is longer
	n, err := io.Copy(io.MultiWriter(w, sum), limited)
	n += have
	_, isWriteError := errors.AsType[*os.PathError](err) // for example a full disk
	switch {
	case isWriteError:
		return n, err
	case err != nil:
		return n, fmt.Errorf("%w after %d of %d bytes: %w", ErrBroken, n, f.Size, err)
	case n < f.Size:
		return n, fmt.Errorf("%w: it ended after %d of %d bytes", ErrBroken, n, f.Size)
	case n > f.Size:
		return n, fmt.Errorf("%w: it has more than %d bytes", errWrong, f.Size)
	case hex.EncodeToString(sum.Sum(nil)) != want:
		return n, fmt.Errorf("%w: its digest is not the listed one", errWrong)
	}
	return n, nil
}

// partial is a file that is being downloaded. It stays when its process dies, and the
// next one goes on behind it.
type partial struct {
	*os.File
	blob string // the name that it gets in the end
	file hubapi.File
	sum  hash.Hash // of what is there
	size int64
	// kept is set if another process may go on with it.
	kept, done bool
}

// openPartial opens what there is of a blob. Where another process is downloading it,
// or files cannot be locked here, it begins a file of its own.
func openPartial(blob string, f hubapi.File) (*partial, error) {
	if err := os.MkdirAll(filepath.Dir(blob), 0o755); err != nil {
		return nil, err
	}
	shared, err := os.OpenFile(blob+".tunebus-incomplete", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	p := &partial{File: shared, blob: blob, file: f, sum: newSum(f), kept: true}
	if !p.isOurs() {
		own, err := os.CreateTemp(filepath.Dir(blob), ".fetching-*")
		if err := errors.Join(err, shared.Close()); err != nil {
			return nil, err
		}
		p.File, p.kept = own, false
		return p, nil
	}
	if p.size, err = io.Copy(p.sum, shared); err == nil && p.size > f.Size {
		err = p.reset()
	}
	if err != nil {
		return nil, errors.Join(err, shared.Close())
	}
	return p, nil
}

// isOurs locks the file, and reports whether its name still leads to it.
func (p *partial) isOurs() bool {
	if filelock.TryLock(p.File) != nil {
		return false
	}
	mine, err := p.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(p.Name())
	return err == nil && os.SameFile(mine, named)
}

// reset begins the file anew.
func (p *partial) reset() error {
	p.sum, p.size = newSum(p.file), 0
	err := p.Truncate(0)
	if err == nil {
		_, err = p.Seek(0, io.SeekStart)
	}
	return err
}

// verify compares a file that was there as a whole.
func (p *partial) verify(what string) error {
	if _, want := p.file.Digest(); hex.EncodeToString(p.sum.Sum(nil)) == want {
		return nil
	}
	return fmt.Errorf("%s: %w", what, errors.Join(errWrong, p.reset()))
}

// finish gives the verified file its name.
func (p *partial) finish() error {
	err := p.Chmod(0o644)
	if err == nil {
		err = os.Rename(p.Name(), p.blob)
	}
	p.done = err == nil
	return err
}

// Close keeps what there is for a later process, if it can go on with that.
func (p *partial) Close() error {
	var err error
	if !p.done && (!p.kept || p.size == 0) {
		err = os.Remove(p.Name())
	}
	return errors.Join(err, p.File.Close())
}
