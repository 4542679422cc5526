package huggingface

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/layout"
	"github.com/tunebus/tunebus/pipeline/huggingface/cachelist"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

// verifiedName begins the name of the list of what was verified in a folder of chosen
// files. As with [cachelist.Marker], the name of a part is behind it.
const verifiedName = ".verified"

// verified is a file when its content had the digest of the list. While its size and its
// time are the same, nobody computes the digest again.
type verified struct {
	treeEntry
	// Modified is the time of its content, in nanoseconds.
	Modified int64 `json:"modified"`
}

func verifiedPath(dir, part string) string {
	return filepath.Join(dir, verifiedName+strings.TrimPrefix(marker(part), cachelist.Marker))
}

// setComplete makes the folder of a commit complete: all chosen files are in it, and were
// verified. card are the entries of the list for the card of a data set, if it was fetched.
func (c cache) setComplete(r hubapi.Repository, commit, part string, chosen selection, card []hubapi.File) error {
	dir := c.commitDir(r, commit)
	files := slices.Concat(chosen.files, card)
	err := os.MkdirAll(dir, 0o755)
	if err == nil && chosen.card != nil {
		made := hubapi.File{Type: "file", Path: layout.CardName, Size: int64(len(chosen.card))}
		sum := hubapi.GitHash(made.Size)
		sum.Write(chosen.card)
		made.OID = hex.EncodeToString(sum.Sum(nil))
		files = append(slices.DeleteFunc(files, func(f hubapi.File) bool { return f.Path == made.Path }), made)
		err = writeFile(filepath.Join(dir, layout.CardName), string(chosen.card))
	}
	list := map[string]verified{}
	for _, f := range files {
		if err != nil {
			break
		}
		var info fs.FileInfo
		if info, err = os.Stat(filepath.Join(dir, filepath.FromSlash(f.Path))); err == nil {
			list[f.Path] = verified{entryOf(f), info.ModTime().UnixNano()}
		}
	}
	if err == nil {
		err = writeVerified(verifiedPath(dir, part), list)
	}
	if err == nil {
		err = writeFile(filepath.Join(dir, marker(part)), strconv.Itoa(len(chosen.files)))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r, err)
	}
	return nil
}

func writeVerified(path string, list map[string]verified) error {
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return writeFile(path, string(text))
}

// whole returns the folder that has all chosen files of a commit as they were verified;
// empty if there is none. The error says which file is damaged.
func (c cache) whole(r hubapi.Repository, commit, part string) (dir string, damage error) {
	dir = c.complete(r, commit, part)
	if dir == "" || dir != c.commitDir(r, commit) { // earlier versions kept no digests
		return dir, nil
	}
	if err := compare(c, r, commit, part); err != nil {
		return "", fmt.Errorf("%s: its copy in the cache is damaged: %w", r, err)
	}
	return dir, nil
}

// compare compares the files of a folder that is complete with what was verified.
func compare(c cache, r hubapi.Repository, commit, part string) error {
	dir := c.commitDir(r, commit)
	n, err := countIn(filepath.Join(dir, marker(part)))
	if err != nil {
		return err
	}
	var list map[string]verified
	body, err := os.ReadFile(verifiedPath(dir, part))
	if err != nil || json.Unmarshal(body, &list) != nil || list == nil {
		list = unverified(c, r, commit)
	}
	var damaged []error
	changed, there := false, 0
	for name, v := range list {
		path := filepath.Join(dir, filepath.FromSlash(name))
		info, err := os.Stat(path)
		if err != nil || info.Size() != v.Size || info.ModTime().UnixNano() != v.Modified {
			if err := v.mismatch(name, path); err != nil {
				damaged = append(damaged, err)
				continue
			}
			v.Modified, changed = info.ModTime().UnixNano(), true
			list[name] = v
		}
		there++
	}
	switch {
	case len(damaged) > 0:
		slices.SortFunc(damaged, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return damaged[0]
	case there < n && list != nil:
		return fmt.Errorf("%d of its %d files are not in %s", n-there, n, dir)
	case changed:
		_ = writeVerified(verifiedPath(dir, part), list) // else the digests are computed again
	}
	return nil
}

// mismatch says what is wrong with a file; nil if it has its digest.
func (v verified) mismatch(name, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there", path)
	case err != nil:
		return err
	case info.Size() != v.Size:
		return fmt.Errorf("%s has %d bytes, and %d were fetched", path, info.Size(), v.Size)
	}
	whole, err := isWhole(path, v.file(name))
	if err == nil && !whole {
		err = fmt.Errorf("%s has another digest than the file that was fetched", path)
	}
	return err
}

// unverified lists the files of a folder of which an earlier version kept no list, so that
// their digests are computed. It is nil if nobody knows the digests.
func unverified(c cache, r hubapi.Repository, commit string) map[string]verified {
	all := readTree(c.treePath(r, commit))
	if all == nil {
		var err error
		if all, err = filesBelow(c.snapshotDir(r, commit)); err != nil {
			return nil
		}
	}
	list := map[string]verified{}
	for _, f := range all {
		// A card that was made here is none of the list.
		info, err := os.Stat(filepath.Join(c.commitDir(r, commit), filepath.FromSlash(f.Path)))
		if err == nil && info.Mode().IsRegular() {
			list[f.Path] = verified{treeEntry: entryOf(f)}
		}
	}
	return list
}

// countIn reads the number of files from the marker of a folder.
func countIn(path string) (int, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(body))
	if err != nil {
		return 0, fmt.Errorf("%s holds no number of files", path)
	}
	return n, nil
}
