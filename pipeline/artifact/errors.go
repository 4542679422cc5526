package artifact

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNotFound means that the store has no object with that key.
	ErrNotFound = errors.New("no such artifact")
	// ErrExists means that the key, file or folder exists with other content.
	ErrExists = errors.New("exists already with other content")
)

// WrongStoreError means that a reference belongs to another store than the
// one it was used with.
type WrongStoreError struct {
	Want string // the store id in the reference
	Have string // the id of the store in use
}

// Error implements error.
func (e *WrongStoreError) Error() string {
	return fmt.Sprintf("artifact is in store %q, but this service uses store %q: point both at the same store", e.Want, e.Have)
}

// CorruptError means that the content of an object differs from its reference.
type CorruptError struct {
	Key        string
	WantSize   int64 // bytes, from the reference
	HaveSize   int64 // bytes read; WantSize+1 if the object is longer
	WantSHA256 string
	HaveSHA256 string // empty if the sizes differ
}

// Error implements error.
func (e *CorruptError) Error() string {
	switch {
	case e.HaveSize < e.WantSize:
		return fmt.Sprintf("artifact %q is truncated: %d of %d bytes", e.Key, e.HaveSize, e.WantSize)
	case e.HaveSize > e.WantSize:
		return fmt.Sprintf("artifact %q is longer than the %d bytes it should have", e.Key, e.WantSize)
	}
	return fmt.Sprintf("artifact %q is corrupt: sha256 %s, want %s", e.Key, e.HaveSHA256, e.WantSHA256)
}

// UnavailableError means that the store can not read or write an artifact now:
// it is full, unreachable or broken. The same call may succeed later.
type UnavailableError struct{ Err error }

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the artifact store is full or away: %v", e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// unavailable wraps an error of a backend as an [UnavailableError], unless it
// is a statement about the object or ctx is cancelled.
func unavailable(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) {
		return err
	}
	return &UnavailableError{Err: err}
}
