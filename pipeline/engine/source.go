package engine

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Hub fetches models and data sets of the Hugging Face Hub into a cache.
type Hub interface {
	Model(ctx context.Context, id, revision string) (dir string, err error)
	Dataset(ctx context.Context, id string, selected source.Selection) (dir string, err error)
}

// Sources are the places where a worker finds the models and data sets that a
// specification names.
type Sources struct {
	// Roots are the folders below which a specification may name files.
	Roots []string
	// Hub is asked for ids of the form owner/name. Nil: there is no Hub.
	Hub Hub
}

// Model returns the folder of the model that the specification's key names:
// an upload of the submitter, a folder below the roots, or a Hub id.
func (j *Job) Model(ctx context.Context, key, id string) (string, error) {
	return findSource(ctx, j, key, id, func(h Hub, ctx context.Context) (string, error) { return h.Model(ctx, id, "") })
}

// Dataset returns the data set that the key names: its file or folder, what is
// selected of it, and the phase's own split.
func (j *Job) Dataset(ctx context.Context, key, id string) (source.Source, error) {
	s := spec.Source(j.Request.Specification, key)
	s.Name = id
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
	return s, err
}

// findSource returns the path of what a key names.
func findSource(
	ctx context.Context, j *Job, key, id string, fromHub func(h Hub, ctx context.Context) (string, error),
) (string, error) {
	if ref, ok := j.Request.Inputs.Files[key]; ok {
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
	dir, err := fromHub(j.sources.Hub, ctx)
	if err != nil {
		return "", Permanent("hub", fmt.Errorf("%s = %q: %w", key, id, err))
	}
	return dir, nil
}

// mediaTar is the media type of an artifact that is a folder.
const mediaTar = "application/x-tar"

// fetchUpload fetches a file that the submitter uploaded. Its name in the
// scratch folder is made here. Only the extension comes out of the submitter's
// name for it, or else of the store's key, because readers of data sets choose the
// format by it.
func fetchUpload(ctx context.Context, j *Job, key, id string, ref events.Reference) (string, error) {
	name := "input-" + strings.ReplaceAll(filepath.Base(key), ".", "-")
	if ref.MediaType == mediaTar {
		return j.FetchDir(ctx, ref, name)
	}
	return j.Fetch(ctx, ref, name+cmp.Or(source.Extension(id), safeExtension(ref.Key)))
}

// safeExtension is the extension of a key, or empty if it is anything else than
// a few letters and digits.
func safeExtension(key string) string {
	const longest = 10
	ext := strings.ToLower(path.Ext(key))
	unsafe := func(r rune) bool { return r < '0' || r > 'z' || r > '9' && r < 'a' }
	if len(ext) > longest || strings.ContainsFunc(strings.TrimPrefix(ext, "."), unsafe) {
		return ""
	}
	return ext
}
