package huggingface

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
)

// completeMarker is the name of the file that marks a commit folder as
// complete. It contains the number of files. Where only a part of a data set was
// downloaded, "+" and the name of the part are behind it.
const completeMarker = ".complete"

func marker(part string) string {
	if part == "" {
		return completeMarker
	}
	return completeMarker + "+" + url.PathEscape(part)
}

// cache is the folder of the downloaded repositories. Several processes may
// use it at the same time.
type cache struct {
	dir string
}

func (c cache) repositoryDir(r repository) string {
	return filepath.Join(c.dir, string(r.kind), strings.ReplaceAll(r.id, "/", "--"))
}

func (c cache) commitDir(r repository, commit string) string {
	return filepath.Join(c.repositoryDir(r), commit)
}

func (c cache) refPath(r repository) string {
	return filepath.Join(c.repositoryDir(r), "refs", url.PathEscape(r.revision))
}

// latest returns the commit that the revision had when it was resolved last,
// and whether the files of a part of this commit are complete.
func (c cache) latest(r repository, part string) (string, bool) {
	commit := r.revision
	if !isCommit(commit) {
		body, err := os.ReadFile(c.refPath(r))
		if err != nil {
			return "", false
		}
		commit = strings.TrimSpace(string(body))
	}
	if !isCommit(commit) {
		return "", false
	}
	return commit, c.isComplete(r, commit, part)
}

// setLatest stores the commit of a revision.
func (c cache) setLatest(r repository, commit string) error {
	if err := writeFile(c.refPath(r), commit); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return nil
}

func (c cache) isComplete(r repository, commit, part string) bool {
	_, err := os.Stat(filepath.Join(c.commitDir(r, commit), marker(part)))
	return err == nil
}

// hasAny reports whether any part of a commit is complete.
func (c cache) hasAny(r repository, commit string) bool {
	entries, _ := os.ReadDir(c.commitDir(r, commit)) // an unreadable folder has none
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name() == completeMarker || strings.HasPrefix(e.Name(), completeMarker+"+")
	})
}

func (c cache) setComplete(r repository, commit, part string, files int) error {
	if err := writeFile(filepath.Join(c.commitDir(r, commit), marker(part)), strconv.Itoa(files)); err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return nil
}

// open returns the folder of a complete commit and the number of its files.
func (c cache) open(r repository, commit, part string) (string, int, error) {
	dir := c.commitDir(r, commit)
	body, err := os.ReadFile(filepath.Join(dir, marker(part)))
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w", r, err)
	}
	now := time.Now()
	// It was used last. A cache that may only be read is no reason to stop.
	_ = os.Chtimes(filepath.Join(dir, marker(part)), now, now)
	n, err := strconv.Atoi(string(body))
	if err != nil {
		return "", 0, fmt.Errorf("%s: %s is damaged; remove the folder", r, filepath.Join(dir, marker(part)))
	}
	return dir, n, nil
}

// writeFile writes a small file of the cache.
func writeFile(path, text string) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}, atomicfile.Options{TempPattern: ".writing-*", Perm: 0o600})
}
