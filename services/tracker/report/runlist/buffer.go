package runlist

import (
	"context"
	"sync"
)

// Buffer collects entries for the list of runs. The whole list is one
// file, so it is written now and then and not for every entry.
type Buffer struct {
	mu      sync.Mutex
	list    *List // nil: there is no list
	waiting []Entry
	closed  bool
}

// NewBuffer returns a buffer for the list in dir; empty: there is none.
func NewBuffer(dir string) *Buffer {
	if dir == "" {
		return &Buffer{}
	}
	return &Buffer{list: New(dir)}
}

// Add adds an entry, which the next Flush writes. After Close it is written at
// once.
func (b *Buffer) Add(ctx context.Context, entry Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, entry)
	if !b.closed {
		return nil
	}
	return b.write(ctx)
}

// Flush writes all entries. After an error they wait for the next Flush.
func (b *Buffer) Flush(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.write(ctx)
}

// Close is Flush for the last time.
func (b *Buffer) Close(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.write(ctx)
}

func (b *Buffer) write(ctx context.Context) error {
	if b.list == nil || len(b.waiting) == 0 {
		return nil
	}
	if err := b.list.Update(ctx, b.waiting...); err != nil {
		return err
	}
	b.waiting = nil
	return nil
}
