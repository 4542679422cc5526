package huggingface

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/layout"
	"github.com/tunebus/tunebus/pipeline/huggingface/hubapi"
)

// treeVersion is the format of the lists of files that huggingface_hub keeps.
const treeVersion = 1

// tree is the list of the files of a commit, as huggingface_hub keeps it.
type tree struct {
	Version int                  `json:"format_version"`
	Files   map[string]treeEntry `json:"files"`
}

type treeEntry struct {
	Size    int64  `json:"size"`
	OID     string `json:"blob_id"`
	LFS     string `json:"lfs_sha256,omitempty"`
	LFSSize int64  `json:"lfs_size,omitempty"`
}

func entryOf(f hubapi.File) treeEntry {
	e := treeEntry{Size: f.Size, OID: f.OID}
	if f.LFS != nil {
		e.LFS, e.LFSSize = f.LFS.OID, f.LFS.Size
	}
	return e
}

func (e treeEntry) file(name string) hubapi.File {
	f := hubapi.File{Type: "file", Path: name, Size: e.Size, OID: e.OID}
	if e.LFS != "" {
		f.LFS = &hubapi.LFS{OID: e.LFS, Size: e.LFSSize}
	}
	return f
}

// maxTree bounds the list of files that is read from the cache.
const maxTree = 256 << 20

func (c cache) treePath(r hubapi.Repository, commit string) string {
	return filepath.Join(c.repositoryDir(r), "trees", commit+".json")
}

// readTree reads the list of the files of a commit; nil if there is none that can be read.
func readTree(path string) []hubapi.File {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	var t tree
	err = errors.Join(json.NewDecoder(io.LimitReader(f, maxTree)).Decode(&t), f.Close())
	if err != nil || t.Version != treeVersion {
		return nil
	}
	out := make([]hubapi.File, 0, len(t.Files))
	for name, e := range t.Files {
		if !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\\x00") {
			return nil
		}
		file := e.file(name)
		if !hubapi.IsDigest(file.ETag()) {
			return nil
		}
		out = append(out, file)
	}
	slices.SortFunc(out, func(a, b hubapi.File) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// writeTree keeps the list of the files of a commit, so that huggingface_hub knows
// without the Hub which files it has.
func writeTree(path string, all []hubapi.File) error {
	t := tree{Version: treeVersion, Files: map[string]treeEntry{}}
	for _, f := range all {
		t.Files[f.Path] = entryOf(f)
	}
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	return writeFile(path, string(text))
}

// adopt makes a commit complete out of what huggingface_hub left, without the Hub. It
// returns the folder of the chosen files, or an error that says what is missing.
func adopt(c cache, r hubapi.Repository, commit, part string, choose chooser) (dir string, err error) {
	snapshot := c.snapshotDir(r, commit)
	if _, err := os.Stat(snapshot); err != nil {
		return "", nil
	}
	all := readTree(c.treePath(r, commit))
	listed := all != nil
	if !listed {
		if r.Kind == hubapi.Datasets {
			return "", fmt.Errorf("%s: %s does not say which files the data set has, so nobody knows whether it is whole; fetch it once with access to the Hub, or name that folder", r, snapshot)
		}
		if all, err = filesBelow(snapshot); err != nil {
			return "", fmt.Errorf("%s: %w", r, err)
		}
	}
	card, err := os.ReadFile(filepath.Join(snapshot, layout.CardName))
	if err != nil || len(card) > layout.MaxCard || r.Kind != hubapi.Datasets {
		card = nil
	}
	chosen, err := choose(all, card)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r, err)
	}
	if len(chosen.files) == 0 {
		return "", nil
	}
	var listedCard []hubapi.File
	if card != nil {
		listedCard = cardIn(r, all)
	}
	var missing []string
	for _, f := range slices.Concat(chosen.files, listedCard) {
		if err := c.use(r, commit, f); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, f.Path)
		} else if err != nil {
			return "", fmt.Errorf("%s: %w", r, err)
		}
	}
	if !listed {
		missing = append(missing, missingShards(filepath.Join(snapshot, "model.safetensors.index.json"), chosen.files)...)
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("%s: it is in the cache %s in part only: %d of its files are missing, such as %s", r, snapshot, len(missing), missing[0])
	}
	if err := c.setComplete(r, commit, part, chosen, listedCard); err != nil {
		return "", err
	}
	return c.commitDir(r, commit), nil
}

// use puts a file that huggingface_hub left into the folder of the chosen files, unless
// it is there with the content that the Hub lists. The error is [fs.ErrNotExist] if there
// is none with that content.
func (c cache) use(r hubapi.Repository, commit string, f hubapi.File) error {
	target := filepath.Join(c.commitDir(r, commit), filepath.FromSlash(f.Path))
	if whole, err := isWhole(target, f); whole || err != nil {
		return err
	}
	for _, path := range []string{c.blobPath(r, f), filepath.Join(c.snapshotDir(r, commit), filepath.FromSlash(f.Path))} {
		if path == filepath.Join(c.repositoryDir(r), "blobs") { // the name of the content is not known
			continue
		}
		whole, err := isWhole(path, f)
		if err != nil {
			return err
		}
		if whole {
			return link(path, target)
		}
	}
	return fmt.Errorf("%s: %w", f.Path, fs.ErrNotExist)
}

// isWhole reports whether a file has the size and the digest that the Hub lists.
func isWhole(path string, f hubapi.File) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Size() != f.Size) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if f.ETag() == "" {
		return true, nil // nobody knows its digest
	}
	content, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer content.Close()
	_, err = copyVerified(io.Discard, content, f, newSum(f), 0)
	if err != nil && !errors.Is(err, hubapi.ErrBroken) {
		return false, err
	}
	return err == nil, nil
}

// link gives a file a second name, in place of another file that has it. A hard link
// stays when huggingface_hub removes its own name; where there are none, a symbolic one
// has to do. Another process that uses the name finds one of the two files.
func link(path, target string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if real, err = filepath.Abs(real); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(target), ".linking-*")
	if err != nil {
		return err
	}
	name := filepath.Join(dir, "link")
	if err = os.Link(real, name); err != nil {
		err = os.Symlink(real, name)
	}
	if err == nil {
		err = os.Rename(name, target)
	}
	return errors.Join(err, os.RemoveAll(dir)) // a rename to the same file leaves the name
}

// point gives a blob its name in the snapshot, as huggingface_hub does. One that was
// fetched just now takes the place of what is there.
func point(c cache, r hubapi.Repository, commit string, f hubapi.File, fetched bool) error {
	pointer := filepath.Join(c.snapshotDir(r, commit), filepath.FromSlash(f.Path))
	if info, err := os.Stat(pointer); err == nil && info.Size() == f.Size {
		blob, err := os.Stat(c.blobPath(r, f))
		if !fetched || err == nil && os.SameFile(info, blob) {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(pointer), 0o755); err != nil {
		return err
	}
	blob, err := filepath.Rel(filepath.Dir(pointer), c.blobPath(r, f))
	if err != nil {
		return err
	}
	if err := os.Remove(pointer); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(blob, pointer); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return link(c.blobPath(r, f), pointer)
}

// filesBelow lists the files of a snapshot whose list is not known. The name of the
// blob that a file leads to is its digest.
func filesBelow(snapshot string) ([]hubapi.File, error) {
	var out []hubapi.File
	err := filepath.WalkDir(snapshot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return nil // a pointer to a blob that is gone
		}
		name, err := filepath.Rel(snapshot, path)
		if err != nil {
			return err
		}
		f := hubapi.File{Type: "file", Path: filepath.ToSlash(name), Size: info.Size()}
		if blob, err := os.Readlink(path); err == nil && hubapi.IsDigest(filepath.Base(blob)) {
			if digest := filepath.Base(blob); len(digest) == 64 {
				f.LFS = &hubapi.LFS{OID: digest, Size: f.Size}
			} else {
				f.OID = digest
			}
		}
		out = append(out, f)
		return nil
	})
	return out, err
}

// missingShards names the files of weights that an index lists and that are not there.
func missingShards(index string, files []hubapi.File) []string {
	f, err := os.Open(index)
	if err != nil {
		return nil // one file has all weights
	}
	var listed struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	err = errors.Join(json.NewDecoder(io.LimitReader(f, maxTree)).Decode(&listed), f.Close())
	if err != nil {
		return []string{filepath.Base(index)}
	}
	var missing []string
	for _, shard := range listed.WeightMap {
		if !slices.ContainsFunc(files, func(f hubapi.File) bool { return f.Path == shard }) && !slices.Contains(missing, shard) {
			missing = append(missing, shard)
		}
	}
	slices.Sort(missing)
	return missing
}
