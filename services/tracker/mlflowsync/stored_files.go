package mlflowsync

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// storedFiles are the files of the artifact store, as artifacts of MLflow.
type storedFiles struct{ store ArtifactStore }

// folder reads the list of the files of a folder in the store.
func (s storedFiles) folder(ctx context.Context, ref events.Reference) (manifest.Manifest, error) {
	r, err := s.store.Get(ctx, ref)
	if err != nil {
		return manifest.Manifest{}, err
	}
	m, err := manifest.Read(r)
	return m, errors.Join(err, r.Close())
}

// file is a file of the store as an artifact.
func (s storedFiles) file(path string, ref events.Reference) mlflow.Artifact {
	a := mlflow.Artifact{
		Path: path,
		Size: ref.Size,
		Open: func(ctx context.Context) (io.ReadCloser, error) { return s.store.Get(ctx, ref) },
	}
	// People edit files of text, which would change the store's.
	if local, ok := s.store.(locator); ok && strings.HasSuffix(path, ".safetensors") {
		a.Local, _ = local.Locate(ref)
	}
	return a
}

// locator is a store that may keep its objects as files of this machine.
type locator interface {
	Locate(ref events.Reference) (path string, ok bool)
}

// content is a file that is made here.
func content(path string, body []byte) mlflow.Artifact {
	return mlflow.Artifact{
		Path: path,
		Size: int64(len(body)),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}
}
