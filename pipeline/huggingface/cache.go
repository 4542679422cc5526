package huggingface

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/huggingface/cachelist"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
	"github.com/tunebus/tunebus/pipeline/userfolder"
)

// marker is the name of the file that marks a folder of chosen files as complete. It
// contains the number of files. Where only a part of a data set was chosen, "+" and the
// name of the part are behind [cachelist.Marker].
func marker(part string) string {
	if part == "" {
		return cachelist.Marker
	}
	return cachelist.Marker + "+" + url.PathEscape(part)
}

// cache is the folder of the downloaded repositories. Several processes may
// use it at the same time, also those of huggingface_hub.
type cache struct {
	dir string
	// old are folders in the layout of earlier versions, which are only read.
	old []string
	// missing is why there is no such folder.
	missing error
}

// newCache returns the cache in a folder, or in the default one. Earlier versions had
// a layout of their own, there or in a folder of their own. Where there is no folder, only
// what needs the Hub fails.
func newCache(dir string) cache {
	folder, err := cachelist.Folder(dir)
	if err != nil {
		return cache{missing: err}
	}
	old := []string{folder}
	if user, err := userfolder.Cache(); err == nil {
		old = append(old, filepath.Join(user, "tunebus", "hub"))
	}
	return cache{dir: folder, old: old}
}

// repositoryDir is the folder that huggingface_hub has for a repository.
func (c cache) repositoryDir(r hubapi.Repository) string {
	return filepath.Join(c.dir, string(r.Kind)+"--"+strings.ReplaceAll(r.ID, "/", "--"))
}

// commitDir is the folder with the chosen files of a commit.
func (c cache) commitDir(r hubapi.Repository, commit string) string {
	return filepath.Join(c.repositoryDir(r), cachelist.Ours, commit)
}

func (c cache) snapshotDir(r hubapi.Repository, commit string) string {
	return filepath.Join(c.repositoryDir(r), "snapshots", commit)
}

func (c cache) blobPath(r hubapi.Repository, f hubapi.File) string {
	return filepath.Join(c.repositoryDir(r), "blobs", f.ETag())
}

func (c cache) refPath(r hubapi.Repository) string {
	return filepath.Join(c.repositoryDir(r), "refs", filepath.FromSlash(r.Revision))
}

// oldDirs are the folders of a repository that earlier versions left.
func (c cache) oldDirs(r hubapi.Repository) []string {
	var out []string
	for _, dir := range c.old {
		out = append(out, filepath.Join(dir, string(r.Kind), strings.ReplaceAll(r.ID, "/", "--")))
	}
	return out
}

// latest returns the commit that the revision had when it was resolved last; empty
// if it never was.
func (c cache) latest(r hubapi.Repository) string {
	if hubapi.IsCommit(r.Revision) {
		return r.Revision
	}
	refs := []string{c.refPath(r)}
	for _, dir := range c.oldDirs(r) {
		refs = append(refs, filepath.Join(dir, "refs", url.PathEscape(r.Revision)))
	}
	for _, ref := range refs {
		body, err := os.ReadFile(ref)
		if commit := strings.TrimSpace(string(body)); err == nil && hubapi.IsCommit(commit) {
			return commit
		}
	}
	return ""
}

// setLatest stores the commit of a revision.
func (c cache) setLatest(r hubapi.Repository, commit string) error {
	if hubapi.IsCommit(r.Revision) {
		return nil
	}
	body, err := os.ReadFile(c.refPath(r))
	if err == nil && string(body) == commit {
		return nil // the cache may be one that can only be read
	}
	if err := writeFile(c.refPath(r), commit); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return nil
}

// complete returns the folder that has all chosen files of a commit; empty if there is
// none.
func (c cache) complete(r hubapi.Repository, commit, part string) string {
	if commit == "" {
		return ""
	}
	dirs := []string{c.commitDir(r, commit)}
	for _, dir := range c.oldDirs(r) {
		dirs = append(dirs, filepath.Join(dir, commit))
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, marker(part))); err == nil {
			return dir
		}
	}
	return ""
}

// hasAny reports whether a part of a commit is there, whichever it is, or files that
// huggingface_hub left.
func (c cache) hasAny(r hubapi.Repository, commit string) bool {
	dirs := []string{c.commitDir(r, commit)}
	for _, dir := range c.oldDirs(r) {
		dirs = append(dirs, filepath.Join(dir, commit))
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err == nil && slices.ContainsFunc(entries, func(e os.DirEntry) bool {
			return e.Name() == cachelist.Marker || strings.HasPrefix(e.Name(), cachelist.Marker+"+")
		}) {
			return true
		}
	}
	entries, err := os.ReadDir(c.snapshotDir(r, commit))
	return err == nil && len(entries) > 0
}

// open returns the number of files of a folder that is complete.
func (c cache) open(r hubapi.Repository, dir, part string) (string, int, error) {
	n, err := countIn(filepath.Join(dir, marker(part)))
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w; remove the folder %s", r, err, dir)
	}
	now := time.Now()
	// It was used last. A cache that may only be read is no reason to stop.
	_ = os.Chtimes(filepath.Join(dir, marker(part)), now, now)
	return dir, n, nil
}

// writeFile writes a small file of the cache.
func writeFile(path, text string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}, atomicfile.Options{TempPattern: ".writing-*", Perm: 0o600})
}
