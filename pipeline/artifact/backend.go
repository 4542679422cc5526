package artifact

import (
	"context"
	"io"
	"iter"
	"time"
)

// Object describes what is stored under a key.
type Object struct {
	Key     string
	Size    int64 // bytes
	ModTime time.Time
}

// Backend keeps bytes under keys. Its methods may be called concurrently. A
// key that is not there is an error that wraps [ErrNotFound].
type Backend interface {
	// Put stores what r has under a key that must not exist; otherwise the
	// error wraps [ErrExists], and r may have been read in part. The object
	// appears whole and durable, or not at all: not when r or ctx fails.
	// Of several concurrent calls for one key, one succeeds.
	Put(ctx context.Context, key, mediaType string, r io.Reader) error
	// Get reads an object from its beginning; ctx covers the reading too.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Attributes describes an object without reading it.
	Attributes(ctx context.Context, key string) (Object, error)
	// Delete removes an object.
	Delete(ctx context.Context, key string) error
	// List describes the objects whose key begins with prefix, in no
	// particular order, and ends after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Close frees what the backend holds; the objects stay.
	Close() error
}

// Identified is a [Backend] that knows the id of its store by itself. One that
// cannot keep two concurrent Puts of one key apart implements it; for others
// the store keeps its id in an object.
type Identified interface {
	StoreID(ctx context.Context) (string, error)
}

// Sweeper is a [Backend] that finds what killed writers left behind.
type Sweeper interface {
	// Sweep removes it, as far as it is sure that nobody writes it any more.
	Sweep()
}

// Collectable is a [Backend] that lists what killed writers left behind, for
// whoever counts it: parts of objects that never got their name.
type Collectable interface {
	// Leftovers lists what nobody has written to since before, and ends after
	// the first error. The keys are the backend's own.
	Leftovers(ctx context.Context, before time.Time) iter.Seq2[Object, error]
	// RemoveLeftover removes one of them; one that is gone is no error.
	RemoveLeftover(ctx context.Context, key string) error
}
