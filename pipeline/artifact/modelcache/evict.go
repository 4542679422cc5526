package modelcache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/filelock"
)

// evict removes what killed workers left, and the files that were not used for
// the longest time until the others fit. Files that somebody fetches or opens at
// the moment are left.
func (c *Cache) evict(ctx context.Context) error {
	unlock, err := filelock.LockDir(ctx, c.dir)
	if err != nil {
		return nil // somebody else evicts, or will with the next file
	}
	defer func() { _ = unlock() }() // nothing was written
	if err := c.removeLeft(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(c.dir, "files"))
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		files = append(files, info)
		total += info.Size()
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if total <= c.limit {
			return nil
		}
		removed, err := c.removeUnused(f.Name(), c.file(f.Name()))
		if err != nil {
			return err
		}
		if removed {
			total -= f.Size()
		}
	}
	return nil
}

// removeLeft removes the folders of fetches whose workers were killed.
func (c *Cache) removeLeft() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if sum, ok := strings.CutPrefix(e.Name(), "fetch-"); ok {
			if _, err := c.removeUnused(sum, c.fetching(sum)); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeUnused removes a file or folder unless somebody has the lock of the
// digest.
func (c *Cache) removeUnused(sum, path string) (removed bool, err error) {
	if !manifest.IsDigest(sum) {
		return false, nil // it is not ours
	}
	lock, err := c.openLock(sum)
	if err != nil {
		return false, err
	}
	defer lock.Close()
	if filelock.TryLock(lock) != nil {
		return false, nil
	}
	return true, os.RemoveAll(path)
}
