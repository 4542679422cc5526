package tracker

import (
	"context"
	"sync"

	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// runListBuffer collects entries for the list of runs. The whole list is one
// file, so it is written now and then and not for every entry.
type runListBuffer struct {
	mu      sync.Mutex
	list    *runlist.List // nil: there is no list
	waiting []runlist.Entry
	closed  bool
}

func newRunListBuffer(dir string) *runListBuffer {
	if dir == "" {
		return &runListBuffer{}
	}
	return &runListBuffer{list: runlist.New(dir)}
}

// add adds an entry, which the next flush writes. After close it is written at
// once.
func (b *runListBuffer) add(ctx context.Context, entry runlist.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, entry)
	if !b.closed {
		return nil
	}
	return b.write(ctx)
}

// flush writes all entries. After an error they wait for the next flush.
func (b *runListBuffer) flush(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.write(ctx)
}

// close is flush for the last time.
func (b *runListBuffer) close(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.write(ctx)
}

func (b *runListBuffer) write(ctx context.Context) error {
	if b.list == nil || len(b.waiting) == 0 {
		return nil
	}
	if err := b.list.Update(ctx, b.waiting...); err != nil {
		return err
	}
	b.waiting = nil
	return nil
}
