package worker

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Hub fetches models and data sets of the Hugging Face Hub into a cache.
type Hub interface {
	Model(ctx context.Context, id, revision string) (dir string, err error)
	Dataset(ctx context.Context, id, revision string) (dir string, err error)
}

// Sources say where a worker finds what a specification names.
type Sources struct {
	// Roots are the folders below which a specification may name files.
	Roots []string
	// Hub is asked for ids of the form owner/name. Nil: there is no Hub.
	Hub Hub
}

// Model returns the folder of the model that the specification's key names:
// what the submitter uploaded, a folder below the roots, or a Hub id.
func (j *Job) Model(ctx context.Context, key, id string) (string, error) {
	return j.source(ctx, key, id, func(ctx context.Context, id string) (string, error) {
		return j.worker.cfg.Sources.Hub.Model(ctx, id, "")
	})
}

// Dataset returns the file or folder of the data set that the key names.
func (j *Job) Dataset(ctx context.Context, key, id string) (string, error) {
	return j.source(ctx, key, id, func(ctx context.Context, id string) (string, error) {
		return j.worker.cfg.Sources.Hub.Dataset(ctx, id, "")
	})
}

func (j *Job) source(ctx context.Context, key, id string, fromHub func(context.Context, string) (string, error)) (string, error) {
	if ref, ok := j.Request.Inputs.Files[key]; ok {
		return j.uploaded(ctx, key, ref)
	}
	if id == "" {
		return "", Permanent("missing_input", fmt.Errorf("%s is empty; name a path or a Hub id there", key))
	}
	local, err := allowedpath.Find(j.worker.cfg.Sources.Roots, id)
	switch {
	case err == nil:
		return local, nil
	case !spec.IsHubID(id):
		return "", Permanent("missing_input", fmt.Errorf("%s = %q: %w", key, id, err))
	case j.worker.cfg.Sources.Hub == nil:
		return "", Permanent("no_hub", fmt.Errorf("%s = %q: this worker may not use the Hub, and no such folder is below its data roots", key, id))
	}
	dir, err := fromHub(ctx, id)
	if err != nil {
		return "", Permanent("hub", fmt.Errorf("%s = %q: %w", key, id, err))
	}
	return dir, nil
}

// uploaded fetches what the submitter uploaded. The name in the scratch
// folder is made here; of the store's key only the extension is taken over,
// since it tells the format.
func (j *Job) uploaded(ctx context.Context, key string, ref events.Reference) (string, error) {
	name := "input-" + strings.ReplaceAll(filepath.Base(key), ".", "-")
	if ref.MediaType == mediaTar {
		return j.FetchDir(ctx, ref, name)
	}
	ext := strings.ToLower(path.Ext(ref.Key))
	if len(ext) > 10 || strings.ContainsFunc(strings.TrimPrefix(ext, "."), func(r rune) bool { return r < '0' || r > 'z' || r > '9' && r < 'a' }) {
		ext = ""
	}
	return j.Fetch(ctx, ref, name+ext)
}

const mediaTar = "application/x-tar"
