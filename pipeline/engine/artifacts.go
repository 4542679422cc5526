package engine

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Store is the artifact store as a job uses it. Keys are immutable.
type Store interface {
	PutFile(ctx context.Context, key, mediaType, path string) (events.Reference, error)
	PutDir(ctx context.Context, key, dir string) (events.Reference, error)
	// Fetch and FetchDir make a file or folder to read from. It may be the
	// store's own, or one that other jobs read too.
	Fetch(ctx context.Context, ref events.Reference, path string) error
	FetchDir(ctx context.Context, ref events.Reference, dir string) error
}

// Key is the store key of an artifact of this attempt.
func (j *Job) Key(name string) (string, error) {
	return artifact.Key(j.Request.RunID, j.Request.Phase, j.Attempt, name)
}

// PutFile stores a file as the artifact called name. A store that is full or
// unreachable is retried for a long time before it fails.
func (j *Job) PutFile(ctx context.Context, name, mediaType, path string) (events.Artifact, error) {
	key, err := j.Key(filepath.Base(path))
	if err != nil {
		return events.Artifact{}, err
	}
	ctx, upload := progress.Enter(ctx, progress.Upload)
	defer upload.End()
	ref, err := j.store.PutFile(ctx, key, mediaType, path)
	return stored(name, ref, err)
}

// PutDir stores a folder as the artifact called name, with the same retries.
func (j *Job) PutDir(ctx context.Context, name, dir string) (events.Artifact, error) {
	key, err := j.Key(name)
	if err != nil {
		return events.Artifact{}, err
	}
	ctx, upload := progress.Enter(ctx, progress.Upload)
	defer upload.End()
	ref, err := j.store.PutDir(ctx, key, dir)
	return stored(name, ref, err)
}

func stored(name string, ref events.Reference, err error) (events.Artifact, error) {
	if err != nil {
		return events.Artifact{}, fmt.Errorf("store %s: %w", name, err)
	}
	return events.Artifact{Name: name, Reference: ref}, nil
}

// Fetch makes an artifact a file of the scratch folder and returns its path,
// with the same retries. The file must only be read: it may be that of the
// store. The engine chooses the name; it must not come out of an event.
func (j *Job) Fetch(ctx context.Context, ref events.Reference, name string) (string, error) {
	path, err := j.Scratch(name)
	if err != nil {
		return "", err
	}
	ctx, fetch := progress.Enter(ctx, progress.Fetch)
	defer fetch.End()
	return path, j.store.Fetch(ctx, ref, path)
}

// FetchDir is [Job.Fetch] for an artifact that is a folder.
func (j *Job) FetchDir(ctx context.Context, ref events.Reference, name string) (string, error) {
	path, err := j.Scratch(name)
	if err != nil {
		return "", err
	}
	ctx, fetch := progress.Enter(ctx, progress.Fetch)
	defer fetch.End()
	return path, j.store.FetchDir(ctx, ref, path)
}
