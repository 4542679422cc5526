package cachelist

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/userfolder"
)

// Cached is what tunebus keeps of one commit of a repository. What huggingface_hub
// fetched for somebody else is not in it.
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

// List lists what tunebus keeps in the cache in a folder; of an empty name, in the
// default one. A folder that does not exist holds nothing.
func List(ctx context.Context, dir string) ([]Cached, error) {
	folder, err := Folder(dir)
	if err != nil {
		return nil, err
	}
	old := folder
	if user, err := userfolder.Cache(); err == nil && dir == "" {
		old = filepath.Join(user, "tunebus", "hub")
	}
	var all []Cached
	for _, k := range []hubapi.Kind{hubapi.Models, hubapi.Datasets} {
		var found []repositoryFolder
		here, err := repositoriesIn(folder, string(k)+"--", Ours)
		if err != nil {
			return nil, err
		}
		found = append(found, here...)
		there, err := repositoriesIn(filepath.Join(old, string(k)), "", "")
		if err != nil {
			return nil, err
		}
		found = append(found, there...)
		for _, f := range found {
			commits, err := listCommits(ctx, f.dir)
			if err != nil {
				return nil, err
			}
			for _, one := range commits {
				one.Repository = strings.TrimSuffix(string(k), "s") + " " + strings.ReplaceAll(f.name, "--", "/")
				all = append(all, one)
			}
		}
	}
	return all, nil
}

// repositoryFolder is a folder with a folder for each commit.
type repositoryFolder struct{ name, dir string }

// repositoriesIn lists the folders of repositories whose names begin with prefix. Their
// commits lie in the folder below.
func repositoriesIn(folder, prefix, below string) ([]repositoryFolder, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []repositoryFolder
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), prefix); ok {
			out = append(out, repositoryFolder{name, filepath.Join(folder, e.Name(), below)})
		}
	}
	return out, err
}

func listCommits(ctx context.Context, dir string) ([]Cached, error) {
	commits, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // only huggingface_hub uses it
	}
	if err != nil {
		return nil, err
	}
	var out []Cached
	for _, c := range commits {
		if !c.IsDir() || !hubapi.IsCommit(c.Name()) && !strings.HasPrefix(c.Name(), removing) {
			continue
		}
		one, err := inspect(ctx, filepath.Join(dir, c.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// inspect adds the files of a commit up.
func inspect(ctx context.Context, dir string) (Cached, error) {
	c := Cached{Commit: strings.TrimPrefix(filepath.Base(dir), removing), dir: dir}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil
		}
		if info.Mode().IsRegular() {
			c.Bytes += info.Size()
		}
		// A file that is shared has the time at which its content was written.
		if t := info.ModTime(); t.After(c.Used) && (!c.shares() || d.IsDir() || strings.HasPrefix(d.Name(), Marker)) {
			c.Used = t
		}
		return nil
	})
	return c, err
}

// shares reports whether the files have a second name where huggingface_hub looks.
func (c Cached) shares() bool { return filepath.Base(filepath.Dir(c.dir)) == Ours }

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
	if c.shares() {
		if err := unshare(gone, filepath.Dir(filepath.Dir(c.dir)), c.Commit); err != nil {
			return err
		}
	}
	return os.RemoveAll(gone)
}

// unshare removes the names that the files of a folder have in a snapshot, and the
// blobs to which no other snapshot leads. Other files of the snapshot stay.
func unshare(dir, repository, commit string) error {
	snapshots := filepath.Join(repository, "snapshots")
	var blobs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		pointer := filepath.Join(snapshots, commit, name)
		mine, err := os.Stat(path)
		theirs, err2 := os.Stat(pointer)
		if err != nil || err2 != nil || !os.SameFile(mine, theirs) {
			return nil
		}
		if blob, err := filepath.EvalSymlinks(pointer); err == nil && blob != pointer {
			blobs = append(blobs, filepath.Base(blob))
		}
		return os.Remove(pointer)
	})
	if err != nil {
		return err
	}
	removeEmpty(filepath.Join(snapshots, commit))
	if _, err := os.Stat(filepath.Join(snapshots, commit)); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(filepath.Join(repository, "trees", commit+".json")) // a list alone does no harm
	}
	return removeUnused(repository, blobs)
}

// removeUnused removes those of the blobs to which no snapshot leads any more.
func removeUnused(repository string, blobs []string) error {
	used := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(repository, "snapshots"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if blob, err := filepath.EvalSymlinks(path); err == nil {
				used[filepath.Base(blob)] = true
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range blobs {
		if hubapi.IsDigest(name) && !used[name] {
			if err := os.Remove(filepath.Join(repository, "blobs", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// removeEmpty removes a folder and those below it that hold no file.
func removeEmpty(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeEmpty(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(dir) // fails where a file is left
}
