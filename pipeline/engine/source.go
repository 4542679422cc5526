package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/localinput"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Hub fetches models and data sets of the Hugging Face Hub into a cache.
type Hub interface {
	Model(ctx context.Context, id, revision string) (dir string, err error)
	Dataset(ctx context.Context, id string, selected source.Selection) (dir string, err error)
}

// Local finds inputs that stay where a person has them, see package localinput.
type Local interface {
	// StoreID is the store of the references that Find takes.
	StoreID() string
	// Find returns the path of an input whose content is that of the reference.
	Find(ctx context.Context, ref events.Reference, roots []string) (path string, err error)
}

// Sources are the places where a worker finds the models and data sets that a
// specification names.
type Sources struct {
	// Roots are the folders below which a specification may name files.
	Roots []string
	// Local finds the inputs of the worker's data folder. Nil: it has none.
	Local Local
	// Hub is asked for ids of the form owner/name. Nil: there is no Hub.
	Hub Hub
}

// Model returns the folder of the model that the specification's key names:
// an upload or a local input of the submitter, a folder below the roots, or a Hub id.
func (j *Job) Model(ctx context.Context, key, id string) (string, error) {
	dir, err := findSource(ctx, j, key, id, func(h Hub, ctx context.Context) (string, error) { return h.Model(ctx, id, "") })
	if local, outside := allowedpath.Find(j.sources.Roots, id); err == nil && outside == nil && local == dir {
		err = checkRegular(ctx, key, id, dir)
	}
	return dir, err
}

// Dataset returns the data set that the key names: its file or folder, what is
// selected of it, and the phase's own split.
func (j *Job) Dataset(ctx context.Context, key, id string) (source.Source, error) {
	s := spec.Source(j.Request.Specification, key)
	s.Name = id
	if s.SharedWith == "" {
		s.SharedWith, s.Again = sameUpload(j.Request, key)
	}
	place := id
	if _, err := allowedpath.Find(j.sources.Roots, id); err != nil {
		place, s.Selection = source.Parse(id)
	} else {
		s.Selection = source.Selection{} // a path that has a colon itself
	}
	var err error
	s.Path, err = findSource(ctx, j, key, place, func(h Hub, ctx context.Context) (string, error) {
		return h.Dataset(ctx, place, s.Selection)
	})
	if err == nil {
		s.Path = withImages(j.Request.Inputs.Files[key], s.Path)
	}
	return s, err
}

// withImages is the data file of a folder that was uploaded for it and its images. The
// name of a reference comes out of an event, so only that of a file in the folder
// itself counts.
func withImages(ref events.Reference, dir string) string {
	if localinput.Is(ref) || !transfer.IsFolder(ref) || ref.Name != filepath.Base(ref.Name) || !source.IsDataFile(ref.Name) {
		return dir
	}
	file := filepath.Join(dir, ref.Name)
	if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
		return dir
	}
	return file
}

// sameUpload returns another data key whose upload has the same content as that of a
// key: one folder under two names. again is set if that key stands before this one.
func sameUpload(r events.PhaseRequested, key string) (shared string, again bool) {
	own, uploaded := r.Inputs.Files[key]
	again = true
	for _, p := range spec.Paths(r.Specification) {
		other, ok := r.Inputs.Files[p.Key]
		again = again && p.Key != key
		if uploaded && ok && p.IsData() && p.Key != key && other.SHA256 == own.SHA256 {
			return p.Key, again
		}
	}
	return "", false
}

// findSource returns the path of what a key names.
func findSource(
	ctx context.Context, j *Job, key, id string, fromHub func(h Hub, ctx context.Context) (string, error),
) (string, error) {
	if ref, ok := j.Request.Inputs.Files[key]; ok {
		if localinput.Is(ref) {
			return findLocal(ctx, j, key, ref)
		}
		return fetchUpload(ctx, j, key, id, ref)
	}
	if id == "" {
		return "", Permanent("missing_input", fmt.Errorf("%s is empty; name a path or a Hub id there", key))
	}
	local, err := allowedpath.Find(j.sources.Roots, id)
	switch {
	case err == nil:
		return local, nil
	case !spec.IsHubID(id):
		return "", Permanent("missing_input", fmt.Errorf("%s = %q: %w", key, id, err))
	case j.sources.Hub == nil:
		return "", Permanent("no_hub", fmt.Errorf("%s = %q: this worker may not use the Hub, and no such folder is below its data roots", key, id))
	}
	ctx, fetch := progress.Enter(ctx, progress.Fetch)
	defer fetch.End()
	defer progress.Doing(ctx, "fetching "+id+" from the Hub")()
	dir, err := fromHub(j.sources.Hub, ctx)
	if err != nil {
		return "", Permanent("hub", fmt.Errorf("%s = %q: %w", key, id, err))
	}
	return dir, nil
}

// checkRegular returns an error if a folder holds something else than files and folders,
// such as a named pipe: opening it would hang.
func checkRegular(ctx context.Context, key, id, dir string) error {
	ctx, look := progress.Enter(ctx, progress.Fetch)
	defer look.End()
	defer progress.Doing(ctx, fmt.Sprintf("looking at %s = %q", key, id))()
	return filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0)
		if err == nil {
			mode = d.Type()
		}
		if mode&fs.ModeSymlink != 0 {
			info, statErr := os.Stat(at)
			if statErr != nil {
				return nil //nolint:nilerr // a link to nothing is of no use, and hangs nobody
			}
			mode = info.Mode()
		}
		if err != nil || mode.IsRegular() || mode.IsDir() {
			progress.Advance(ctx, 1)
			return err
		}
		name, _ := filepath.Rel(dir, at)
		return Permanent("bad_input", fmt.Errorf("%s = %q: %s is neither a file nor a folder", key, id, filepath.ToSlash(name)))
	})
}

// findLocal returns the path of an input that stays where the submitter has it.
// One that has changed is no longer what the run was asked for.
func findLocal(ctx context.Context, j *Job, key string, ref events.Reference) (string, error) {
	if j.sources.Local == nil || j.sources.Local.StoreID() != ref.Store {
		return "", Permanent("missing_input", fmt.Errorf("%s = %q: this worker does not work on the data folder whose machine has it", key, ref.Key))
	}
	ctx, read := progress.Enter(ctx, progress.Fetch)
	defer read.End()
	defer progress.Doing(ctx, fmt.Sprintf("reading %s = %q", key, ref.Key))()
	path, err := j.sources.Local.Find(ctx, ref, j.sources.Roots)
	if _, changed := errors.AsType[*localinput.ChangedError](err); changed {
		return "", Permanent("input_changed", fmt.Errorf("%s: %w; start a new run, or give runs a copy with --copy-inputs", key, err))
	}
	if err != nil {
		return "", Permanent("missing_input", fmt.Errorf("%s = %q: %w", key, ref.Key, err))
	}
	return path, nil
}

// fetchUpload fetches a file that the submitter uploaded. Its name in the
// scratch folder is made here. Only the extension comes from the submitter,
// because readers of data sets choose the format by it: that of the file's name,
// else of the specification's value, else of the store's key.
func fetchUpload(ctx context.Context, j *Job, key, id string, ref events.Reference) (string, error) {
	name := "input-" + strings.ReplaceAll(filepath.Base(key), ".", "-")
	if transfer.IsFolder(ref) {
		return j.FetchDir(ctx, ref, name)
	}
	return j.Fetch(ctx, ref, name+cmp.Or(safeExtension(ref.Name), source.Extension(id), safeExtension(ref.Key)))
}

// safeExtension is the extension of a name, or empty if it is anything else than
// a few letters and digits. That of a compressed file has two parts, such as
// .jsonl.gz.
func safeExtension(name string) string {
	const longest = 10
	ext := strings.ToLower(path.Ext(name))
	unsafe := func(r rune) bool { return r < '0' || r > 'z' || r > '9' && r < 'a' }
	if len(ext) > longest || strings.ContainsFunc(strings.TrimPrefix(ext, "."), unsafe) {
		return ""
	}
	if ext == ".gz" || ext == ".zst" {
		return safeExtension(name[:len(name)-len(ext)]) + ext
	}
	return ext
}

// BaseSuffix is put behind a key that names an adapter's folder: under the
// result a submitter uploads the base model of that adapter.
const BaseSuffix = ".base"

// FetchModel returns the folder of the model that the key names, as [Job.Model]
// does. If that folder holds an adapter, it is returned as adapter, and base is
// the folder of the model that adapter_config.json names.
func FetchModel(ctx context.Context, j *Job, key, id string) (base, adapter string, err error) {
	dir, err := j.Model(ctx, key, id)
	if err != nil {
		return "", "", err
	}
	name, err := AdapterBase(dir)
	switch {
	case err != nil:
		return "", "", Permanent("bad_model", fmt.Errorf("%s = %q: %w", key, id, err))
	case name == "":
		return dir, "", nil
	}
	if base, err = j.Model(ctx, key+BaseSuffix, name); err != nil {
		return "", "", fmt.Errorf("the base model of the adapter that %s = %q names: %w", key, id, err)
	}
	return base, dir, nil
}

// AdapterBase returns the name of the base model of an adapter: an id of the
// Hub, or a folder. It is empty for a folder that holds no adapter alone.
func AdapterBase(dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return "", nil
	}
	f, err := manifest.OpenRegular(filepath.Join(dir, "adapter_config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var c struct {
		Base string `json:"base_model_name_or_path"`
	}
	if err == nil {
		err = errors.Join(json.NewDecoder(f).Decode(&c), f.Close())
	}
	if err == nil && c.Base == "" {
		err = errors.New("names no base model; write it into base_model_name_or_path")
	}
	if err != nil {
		return "", fmt.Errorf("adapter_config.json: %w", err)
	}
	return c.Base, nil
}
