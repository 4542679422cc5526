package artifact

import (
	"context"
	"io"
	"iter"
	"time"
)

// Object describes a stored object without its content.
type Object struct {
	Key     string
	Size    int64 // bytes
	ModTime time.Time
}

// Backend stores objects: bytes under a key. Its methods may be called
// concurrently. The error for a key that does not exist wraps [ErrNotFound].
type Backend interface {
	// Put stores the content of r under a key that must not exist yet. If it
	// exists, the error wraps [ErrExists], and r may have been read in part.
	// The object becomes visible only when it is complete and durable. It
	// does not appear at all if r fails or ctx is cancelled. Of several
	// concurrent calls for one key, exactly one succeeds.
	Put(ctx context.Context, key, mediaType string, r io.Reader) error
	// Get opens an object at its beginning; ctx applies to reading too.
	Get(ctx context.Context, key string) (io.ReadCloser, error)
	// Attributes describes an object without reading it.
	Attributes(ctx context.Context, key string) (Object, error)
	// Delete removes an object.
	Delete(ctx context.Context, key string) error
	// List iterates over the objects whose key begins with prefix, in no
	// particular order. It stops after the first error.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]
	// Close releases the resources of the backend; the objects remain.
	Close() error
}

// Identified is a [Backend] that has a store id without storing one in an
// object. A backend that can not guarantee a single winner among concurrent
// Puts of one key must implement it: for all others [New] stores the id with
// such a Put.
type Identified interface {
	StoreID(ctx context.Context) (string, error)
}

// Local is a [Backend] whose objects are files of this machine.
type Local interface {
	// Path is the path of the file of an object, whether it exists or not. The
	// file must not be changed.
	Path(key string) string
}

// Sweeper is a [Backend] that can remove the leftovers of killed writers.
type Sweeper interface {
	// Sweep removes the leftovers whose writer is certainly dead.
	Sweep()
}

// FolderSweeper is a [Backend] in which the prefix of a key may be a folder.
type FolderSweeper interface {
	// RemoveEmptyFolders removes folders below and above a prefix that hold nothing,
	// such as those of a process that was killed between a folder and its object,
	// when it wrote or removed it.
	RemoveEmptyFolders(prefix string)
}

// Collectable is a [Backend] that can list the leftovers of killed writers
// (parts of objects that were never completed) for garbage collection.
type Collectable interface {
	// Leftovers iterates over the leftovers that were last written before the
	// given time, and stops after the first error. The keys have a form of
	// the backend's choice.
	Leftovers(ctx context.Context, before time.Time) iter.Seq2[Object, error]
	// RemoveLeftover removes a leftover. It succeeds if the leftover does not
	// exist any more.
	RemoveLeftover(ctx context.Context, key string) error
}
