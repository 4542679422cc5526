package artifact

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that the store has no object of that key.
	ErrNotFound = errors.New("no such artifact")
	// ErrExists says that the key, file or folder exists with other content.
	ErrExists = errors.New("exists already with other content")
)

// WrongStoreError says that a reference points into another store than the
// one it was used with.
type WrongStoreError struct {
	Want string // the id in the reference
	Have string // the id of the store in use
}

// Error implements error.
func (e *WrongStoreError) Error() string {
	return fmt.Sprintf("artifact is in store %q, but this service uses store %q: point both at the same store", e.Want, e.Have)
}

// CorruptError says that an object is not what its reference says.
type CorruptError struct {
	Key        string
	WantSize   int64 // bytes, as the reference says
	HaveSize   int64 // bytes read; one more than WantSize when there are more
	WantSHA256 string
	HaveSHA256 string // empty when the size alone told the difference
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

// UnavailableError says that the store does not take or give an artifact now:
// it is full, away, or broken. The same call may succeed later.
type UnavailableError struct{ Err error }

// Error implements error.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the artifact store is full or away: %v", e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// unavailable marks what a backend answered, unless it is an answer about the
// object, or the end of ctx.
func unavailable(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) {
		return err
	}
	return &UnavailableError{Err: err}
}
