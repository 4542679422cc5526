// Package transfer copies local files and folders into an artifact store and
// out of it.
//
//	files := transfer.New(store)
//	ref, err := files.PutDir(ctx, key, "/scratch/model") // a manifest, and an object for each file
//	…
//	err = files.OpenDir(ctx, ref, "/scratch/base-model") // to read from, without a copy where that can be had
//	err = files.FetchDir(ctx, ref, "/scratch/resume")    // a copy of one's own
//	err = files.ExportDir(ctx, ref, "/home/me/model")    // for a person
//
// # Promises
//
//   - A fetched file or folder appears complete and verified, or not at all: it
//     is written under a temporary name beside its target and renamed. A
//     process that is killed leaves at most a file or folder ".fetch-…".
//   - A target that already has the content of the reference is not fetched
//     again.
//   - The digest of a folder depends only on the names and contents of its
//     files, see package manifest. The manifest is stored last, so that a folder
//     that can be found is complete.
//   - A folder of an earlier version, one tar stream, can be fetched too.
//   - Neither a manifest nor a tar stream can write outside the target folder,
//     nor more bytes than it says.
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
	Locate(ref events.Reference) (path string, ok bool)
}

// Cache keeps files of a store on the local disk, by their digests.
type Cache interface {
	// Place makes path a file with the content of ref, for reading only. fetch
	// writes the verified content to the path that it gets.
	Place(ctx context.Context, ref events.Reference, path string, fetch func(ctx context.Context, path string) error) error
}

// Files copies files and folders. It may be used concurrently.
type Files struct {
	store Store
	out   fetcher
}

// New returns a Files for a store.
func New(store Store) *Files { return NewCached(store, nil) }

// NewCached returns a Files that opens files of a store elsewhere through a
// cache. Nil is no cache.
func NewCached(store Store, c Cache) *Files {
	return &Files{store: store, out: fetcher{store: store, cache: c}}
}

// fetcher gets files out of a store.
type fetcher struct {
	store Store
	cache Cache // nil: none
}
