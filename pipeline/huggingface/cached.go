package huggingface

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Cached is what the cache holds of one commit of a repository.
type Cached struct {
	// Repository is its kind and its id, such as "model owner/name".
	Repository string
	Commit     string
	Bytes      int64
	// Used is when it was opened last, or written if that was later.
	Used time.Time

	dir string
}

// removing begins the names of folders that are being removed. A folder is renamed
// first, so that what is half removed is never taken for complete.
const removing = ".removing-"

// CacheFolder is the folder of the cache: dir, or that of a client without one.
func CacheFolder(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache of the Hub: %w; name a folder", err)
	}
	return filepath.Join(user, "tunebus", "hub"), nil
}

// ListCached lists what the cache in a folder holds. A folder that does not exist holds
// nothing.
func ListCached(ctx context.Context, folder string) ([]Cached, error) {
	var all []Cached
	for _, k := range []kind{models, datasets} {
		repositories, err := os.ReadDir(filepath.Join(folder, string(k)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, r := range repositories {
			dir := filepath.Join(folder, string(k), r.Name())
			commits, err := os.ReadDir(dir)
			if err != nil {
				return nil, err
			}
			for _, c := range commits {
				if !c.IsDir() || !isCommit(c.Name()) && !strings.HasPrefix(c.Name(), removing) {
					continue
				}
				one, err := inspect(ctx, filepath.Join(dir, c.Name()))
				if err != nil {
					return nil, err
				}
				one.Repository = strings.TrimSuffix(string(k), "s") + " " + strings.ReplaceAll(r.Name(), "--", "/")
				all = append(all, one)
			}
		}
	}
	return all, nil
}

// inspect adds the files of a commit up.
func inspect(ctx context.Context, dir string) (Cached, error) {
	c := Cached{Commit: strings.TrimPrefix(filepath.Base(dir), removing), dir: dir}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if info.Mode().IsRegular() {
			c.Bytes += info.Size()
		}
		if t := info.ModTime(); t.After(c.Used) {
			c.Used = t
		}
		return nil
	})
	return c, err
}

// Remove removes it from the cache. The next run that names it fetches it again.
func (c Cached) Remove() error {
	gone := filepath.Join(filepath.Dir(c.dir), removing+c.Commit)
	if c.dir != gone {
		if err := os.RemoveAll(gone); err != nil { // of a process that was killed
			return err
		}
		if err := os.Rename(c.dir, gone); err != nil {
			return err
		}
	}
	return os.RemoveAll(gone)
}
