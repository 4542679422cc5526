package artifact

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Sweep removes the leftovers of killed writers that the backend knows to be
// dead. It does nothing if the backend is no [Sweeper].
func (s *Store) Sweep() {
	if b, ok := s.backend.(Sweeper); ok {
		b.Sweep()
	}
}

// RemoveEmptyFolders does what the backend does if it is a [FolderSweeper].
func RemoveEmptyFolders(s *Store, prefix string) {
	if b, ok := s.backend.(FolderSweeper); ok {
		b.RemoveEmptyFolders(prefix)
	}
}

// Leftovers iterates over the leftovers of killed writers that were last
// written before the given time. It stops after the first error, and is empty
// if the backend is not [Collectable].
func (s *Store) Leftovers(ctx context.Context, before time.Time) iter.Seq2[Object, error] {
	b, ok := s.backend.(Collectable)
	if !ok {
		return func(func(Object, error) bool) {}
	}
	return b.Leftovers(ctx, before)
}

// RemoveLeftover removes an object that [Store.Leftovers] returned.
func (s *Store) RemoveLeftover(ctx context.Context, o Object) error {
	b, ok := s.backend.(Collectable)
	if !ok {
		return nil
	}
	if err := b.RemoveLeftover(ctx, o.Key); err != nil {
		return fmt.Errorf("remove leftover %q: %w", o.Key, err)
	}
	return nil
}
