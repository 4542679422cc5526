package huggingface

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is what git names a blob by
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// complete is the file that says that a commit's folder holds everything.
const complete = ".complete"

// Model fetches a model and returns its folder. id is owner/name or
// owner/name@revision; revision, if given, wins. Of the files only those are
// fetched that tunebus reads: configuration, tokenizer, chat template and
// safetensors.
func (c *Client) Model(ctx context.Context, id, revision string) (string, error) {
	r, err := parse(models, id, revision)
	if err != nil {
		return "", err
	}
	dir, files, err := c.fetch(ctx, r, ofModel)
	if err == nil && files == 0 {
		err = fmt.Errorf("%s: it has no config.json with safetensors; other formats are not read", r)
	}
	return dir, err
}

// Dataset fetches a data set and returns its folder, as [Client.Model] does.
// One that has no data files of a known format is fetched as the Hub itself
// has converted it to Parquet.
func (c *Client) Dataset(ctx context.Context, id, revision string) (string, error) {
	r, err := parse(datasets, id, revision)
	if err != nil {
		return "", err
	}
	dir, files, err := c.fetch(ctx, r, ofDataset)
	if err != nil || files > 0 {
		return dir, err
	}
	r.revision = "refs/convert/parquet"
	dir, files, err = c.fetch(ctx, r, ofConversion)
	if err == nil && files == 0 {
		err = fmt.Errorf("%s: it has no data files of a known format (Parquet, JSON lines, JSON, CSV, XLSX)", r)
	}
	if err != nil {
		return "", fmt.Errorf("%w; and the Hub has not converted it", err)
	}
	return dir, nil
}

// HasModel looks whether a model can be had, and fetches nothing.
func (c *Client) HasModel(ctx context.Context, id string) error { return c.has(ctx, models, id) }

// HasDataset looks whether a data set can be had, and fetches nothing.
func (c *Client) HasDataset(ctx context.Context, id string) error { return c.has(ctx, datasets, id) }

func (c *Client) has(ctx context.Context, k kind, id string) error {
	r, err := parse(k, id, "")
	if err != nil {
		return err
	}
	if _, have := c.known(r); have {
		return nil
	}
	if c.opts.Offline {
		_, _, err = c.fetch(ctx, r, nil)
		return err
	}
	_, err = c.commit(ctx, r)
	return err
}

// fetch brings the chosen files of a repository into the cache and returns
// their folder and how many they are.
func (c *Client) fetch(ctx context.Context, r repository, choose func([]file) []file) (string, int, error) {
	commit, have := c.known(r)
	if c.opts.Offline {
		if !have {
			return "", 0, fmt.Errorf("%s: it is not in the cache %s, and this service may not ask the Hub (HF_HUB_OFFLINE)", r, c.opts.Cache)
		}
		return c.cached(r, commit)
	}
	if !have || commit != r.revision {
		newest, err := c.commit(ctx, r)
		switch {
		case errors.Is(err, ErrUnreachable) && have:
			c.opts.Logger.Warn("the Hub is out of reach; using what the cache holds", "repository", r.String(), "commit", commit)
			return c.cached(r, commit)
		case err != nil:
			return "", 0, err
		}
		have = have && newest == commit
		commit = newest
	}
	if have {
		return c.cached(r, commit)
	}
	if _, err := os.Stat(filepath.Join(c.folder(r), commit, complete)); err == nil {
		return c.note(r, commit) // another revision named it before
	}
	all, err := c.tree(ctx, r, commit)
	if err != nil {
		return "", 0, err
	}
	files := choose(all)
	dir := filepath.Join(c.folder(r), commit)
	if err := c.downloads(ctx, r, commit, dir, files); err != nil {
		return "", 0, err
	}
	if err := writeFile(filepath.Join(dir, complete), strconv.Itoa(len(files))); err != nil {
		return "", 0, fmt.Errorf("%s: %w", r, err)
	}
	return c.note(r, commit)
}

// note writes down the commit of the revision.
func (c *Client) note(r repository, commit string) (string, int, error) {
	if err := writeFile(c.refFile(r), commit); err != nil {
		return "", 0, fmt.Errorf("%s: %w", r, err)
	}
	return c.cached(r, commit)
}

// cached is a complete folder and the number of files in it.
func (c *Client) cached(r repository, commit string) (string, int, error) {
	dir := filepath.Join(c.folder(r), commit)
	body, err := os.ReadFile(filepath.Join(dir, complete))
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", r, err)
	}
	n, err := strconv.Atoi(string(body))
	if err != nil {
		return "", 0, fmt.Errorf("%s: %s is damaged; remove the folder", r, filepath.Join(dir, complete))
	}
	return dir, n, nil
}

// downloads fetches files, some at the same time.
func (c *Client) downloads(ctx context.Context, r repository, commit, dir string, files []file) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	var total, done atomic.Int64
	for _, f := range files {
		total.Add(f.Size)
	}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(c.opts.Parallel)
	for _, f := range files {
		all.Go(func() error {
			if err := c.download(ctx, r, commit, dir, f); err != nil {
				return err
			}
			c.opts.Logger.Info("fetched from the Hub", "repository", r.String(), "file", f.Path, "bytes", done.Add(f.Size), "of", total.Load())
			return nil
		})
	}
	return all.Wait()
}

// download fetches one file, unless it is there: a file is moved to its name
// when it has been checked.
func (c *Client) download(ctx context.Context, r repository, commit, dir string, f file) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	if info, err := os.Stat(path); err == nil && info.Size() == f.Size {
		return nil
	}
	what := r.String() + ": " + f.Path
	var err error
	for range c.opts.Tries {
		if err = c.transfer(ctx, what, c.address(r, commit, f.Path), path, f); err == nil || ctx.Err() != nil || !errors.Is(err, ErrBroken) {
			return err
		}
		c.opts.Logger.Warn("fetching a file again", "file", what, "error", err)
	}
	return err
}

func (c *Client) transfer(ctx context.Context, what, address, path string, f file) (err error) {
	answer, err := c.get(ctx, what, address)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".fetching-*")
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	digest, want := f.digest()
	limited := io.LimitReader(answer.Body, f.Size+1)
	n, err := io.Copy(io.MultiWriter(tmp, digest), limited)
	if cerr := tmp.Close(); err == nil && cerr != nil {
		return fmt.Errorf("%s: %w", what, cerr)
	}
	var full *os.PathError
	switch {
	case errors.As(err, &full): // writing failed, not reading
		return fmt.Errorf("%s: %w", what, err)
	case err != nil:
		return fmt.Errorf("%s: %w after %d of %d bytes: %w", what, ErrBroken, n, f.Size, err)
	case n != f.Size:
		return fmt.Errorf("%s: %w: %d bytes, want %d", what, ErrBroken, n, f.Size)
	case hex.EncodeToString(digest.Sum(nil)) != want:
		return fmt.Errorf("%s: %w: its digest is not the listed one", what, ErrBroken)
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return os.Rename(tmp.Name(), path)
}

// digest is what the content is checked by: SHA-256 for large files, git's
// SHA-1 of the blob for the others.
func (f file) digest() (hash.Hash, string) {
	if f.LFS != nil {
		return sha256.New(), f.LFS.OID
	}
	h := sha1.New() //nolint:gosec // see above
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return h, f.OID
}

// writeFile writes a small file as a whole.
func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(text)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
