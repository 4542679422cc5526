// Package durablelink gives completely written files their final names, durably and at
// most once for each name, also between processes.
//
//	err := durablelink.Link(root, ".partial/1", "runs/r/finetuning/1/model")
package durablelink

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// Link gives a file of a folder another name in it, and makes the folders that the name
// needs. The error is [fs.ErrExist] if the name is taken. Somebody may remove a folder that
// is empty between its creation and the link; Link then starts again.
func Link(root *os.Root, from, to string) error { return committer{root}.commit(from, to) }

type committer struct {
	root *os.Root
}

func (c committer) commit(partial, key string) error {
	const tries = 10
	var err error
	for range tries {
		if err = c.mkdirAll(path.Dir(key)); err != nil {
			return err
		}
		if err = c.link(partial, key); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	return c.syncDir(path.Dir(key))
}

// link uses a hard link because it fails if the name is taken; a rename would
// replace the other file.
func (c committer) link(partial, key string) error {
	err := c.root.Link(partial, key)
	// Linux returns EPERM where the file system has no hard links.
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if _, err := c.root.Lstat(key); err == nil {
		return fs.ErrExist
	}
	return c.root.Rename(partial, key)
}

// mkdirAll creates a folder and its parents. For each folder that it creates
// it syncs the parent, so that the folder survives a power failure.
func (c committer) mkdirAll(dir string) error {
	if dir == "." {
		return nil
	}
	switch err := c.root.Mkdir(dir, 0o755); {
	case err == nil:
		return c.syncParent(dir)
	case errors.Is(err, fs.ErrExist):
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := c.mkdirAll(path.Dir(dir)); err != nil {
		return err
	}
	if err := c.root.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.syncParent(dir)
}

// syncParent syncs the parent of a folder that was created. One that somebody has removed
// meanwhile is no error: commit tries again.
func (c committer) syncParent(dir string) error {
	if err := c.syncDir(path.Dir(dir)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c committer) syncDir(dir string) error {
	d, err := c.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
