// Package modelcache keeps files that workers fetched from a store elsewhere, so
// that the workers of a machine fetch a model once, and open it in place.
//
//	cache := modelcache.New("/scratch", 32<<30)
//	files := transfer.NewCached(store, cache)
//	err := files.OpenDir(ctx, ref, "/scratch/job/base-model") // hard links into the cache
//
// # Layout
//
//	<scratch>/tunebus-models-<user>/files/<SHA-256>   a file, complete
//	<scratch>/tunebus-models-<user>/fetch-<SHA-256>/  a file that is being fetched
//	<scratch>/tunebus-models-<user>/locks/<00 to ff>  locks, by the begin of the digest
//
// # Promises
//
//   - Workers with one scratch folder share the cache, as processes too. While one
//     fetches a file, the others wait and then use it.
//   - A file gets its name when it is complete and verified, and is compared with
//     its digest again whenever it is opened. What a killed worker leaves is
//     removed by the next one that fetches the file, or by an eviction.
//   - The files in the cache take no more than its limit once no fetch is under
//     way: those that were not used for the longest time go first. A job that
//     uses a file has a name of its own for it, so that an eviction takes nothing
//     away from it.
package modelcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Cache implements [transfer.Cache]. It may be used concurrently.
type Cache struct {
	dir   string
	limit int64 // bytes
}

// New returns the cache in a scratch folder. It makes nothing yet. Where limit is
// 0, files are fetched for each job.
func New(scratch string, limit int64) *Cache {
	name := "tunebus-models"
	if u, err := user.Current(); err == nil {
		name += "-" + filepath.Base(u.Uid) // on a shared folder, each user has their own
	}
	return &Cache{dir: filepath.Join(scratch, name), limit: limit}
}

func (c *Cache) file(sum string) string { return filepath.Join(c.dir, "files", sum) }

// fetching is the folder of a file that is being fetched.
func (c *Cache) fetching(sum string) string { return filepath.Join(c.dir, "fetch-"+sum) }

// Place implements [transfer.Cache].
func (c *Cache) Place(ctx context.Context, ref events.Reference, path string, fetch func(ctx context.Context, path string) error) error {
	if c.limit <= 0 || !manifest.IsDigest(ref.SHA256) {
		return fetch(ctx, path)
	}
	err := c.make()
	if err != nil {
		return err
	}
	unlock, err := c.lock(ctx, ref.SHA256)
	if errors.Is(err, filelock.ErrUnsupported) {
		return fetch(ctx, path)
	}
	if err != nil {
		return err
	}
	err = c.placeLocked(ctx, ref, path, fetch)
	unlock()
	if err != nil {
		return err
	}
	return c.evict(ctx)
}

// make makes the folders. They belong to one user: in a shared folder somebody
// else could exchange the files.
func (c *Cache) make() error {
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o750); err != nil {
		return err
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(c.dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("model cache %s: it is no folder, or others may write into it; remove it", c.dir)
	}
	for _, sub := range []string{"files", "locks"} {
		if err := os.MkdirAll(filepath.Join(c.dir, sub), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// lock locks the files whose digests begin as one does, and waits for another
// worker that has the lock. What that one fetches counts as progress, so that
// waiting is no stall as long as bytes arrive.
func (c *Cache) lock(ctx context.Context, sum string) (unlock func(), err error) {
	f, err := c.openLock(sum)
	if err != nil {
		return nil, err
	}
	defer progress.Doing(ctx, "waiting for another worker of this machine, which fetches the same file or looks at it")()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	var arrived int64
	for {
		err := filelock.TryLock(f)
		if err == nil {
			return func() { _ = f.Close() }, nil // nothing was written
		}
		if errors.Is(err, filelock.ErrLocked) {
			select {
			case <-poll.C:
				if now := sizeOf(c.fetching(sum)); now > arrived {
					progress.Advance(ctx, now-arrived)
					arrived = now
				}
				continue
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		return nil, errors.Join(err, f.Close())
	}
}

// openLock opens the lock of the files whose digests begin as one does. It is
// never removed; there are 256 of them.
func (c *Cache) openLock(sum string) (*os.File, error) {
	return os.OpenFile(filepath.Join(c.dir, "locks", sum[:2]), os.O_CREATE|os.O_RDWR, 0o600)
}

// sizeOf is the size of the files in a folder.
func sizeOf(dir string) (n int64) {
	entries, _ := os.ReadDir(dir) // a folder that is gone has none
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

// placeLocked has the lock of the file.
func (c *Cache) placeLocked(ctx context.Context, ref events.Reference, path string, fetch func(ctx context.Context, path string) error) error {
	cached := c.file(ref.SHA256)
	ok, err := verified(ctx, ref, cached)
	if err != nil {
		return err
	}
	if !ok {
		if err := c.fetchLocked(ctx, ref.SHA256, fetch); err != nil {
			return err
		}
	}
	now := time.Now()
	if err := os.Chtimes(cached, now, now); err != nil { // it was used last
		return err
	}
	return link(cached, path)
}

// fetchLocked fetches a file beside the others and gives it its name.
func (c *Cache) fetchLocked(ctx context.Context, sum string, fetch func(ctx context.Context, path string) error) error {
	dir := c.fetching(sum)
	if err := os.RemoveAll(dir); err != nil { // of a worker that was killed
		return err
	}
	fresh := filepath.Join(dir, "file")
	err := fetch(ctx, fresh)
	if err == nil {
		err = os.Rename(fresh, c.file(sum))
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// verified reports whether a file of the cache has the content of ref. One that
// is damaged is removed.
func verified(ctx context.Context, ref events.Reference, path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	v := artifact.Verify(ctx, ref, f)
	_, err = io.Copy(io.Discard, v)
	err = errors.Join(err, v.Close())
	if _, corrupt := errors.AsType[*artifact.CorruptError](err); corrupt {
		return false, os.Remove(path)
	}
	return err == nil, err
}

// link gives a file of the cache the name path as well; a file there is
// replaced. On another file system it is copied.
func link(cached, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Link(cached, path) == nil {
		return nil
	}
	from, err := os.Open(cached)
	if err != nil {
		return err
	}
	defer from.Close()
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	}, atomicfile.Options{})
}
