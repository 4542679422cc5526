// Package transfer copies local files and folders into an artifact store and
// out of it.
//
//	files := transfer.New(store)
//	ref, err := files.PutDir(ctx, key, "/scratch/model") // one tar stream
//	…
//	err = files.FetchDir(ctx, ref, "/scratch/base-model")
//
// # Promises
//
//   - A fetched file or folder appears complete and verified, or not at all: it
//     is written under a temporary name beside its target and renamed. A
//     process that is killed leaves at most a file or folder ".fetch-…".
//   - A target that already has the content of the reference is not fetched
//     again.
//   - The artifact of a folder depends only on the names and contents of its
//     files, so the same folder always has the same digest.
//   - A tar stream can not write outside the target folder, nor write more
//     bytes than it has.
//
// Errors of the store are those of package artifact.
package transfer

import (
	"context"
	"io"

	"github.com/tunebus/tunebus/events"
)

// Store is the part of [artifact.Store] that this package needs.
type Store interface {
	Put(ctx context.Context, key, mediaType string, r io.Reader) (events.Reference, error)
	Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error)
	Check(ref events.Reference) error
}

// Files copies files and folders. It may be used concurrently.
type Files struct {
	store Store
}

// New returns a Files for a store.
func New(store Store) *Files { return &Files{store: store} }
