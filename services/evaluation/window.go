package evaluation

import (
	"context"
	"iter"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	// windowBytes bounds the texts of the rows that are in the window.
	windowBytes = 64 << 20
	// windowRows bounds their number. It is large, so that a row whose call is made
	// again for minutes holds the rows behind it up as late as possible.
	windowRows = 512
)

// window works on rows concurrently, and hands them on in their order. It holds the
// rows between the first that is not finished and the last that was begun.
type window struct {
	workers int
	// work is called concurrently.
	work func(ctx context.Context, r *scoredRow) error
	// finished is called for one row after the other, as they finish; inOrder too,
	// in the order of the rows.
	finished, inOrder func(r *scoredRow) error
}

// run returns when no goroutine works any more. The error is the first one of the
// rows, of a function, or the cause of ctx.
func (w window) run(ctx context.Context, rows iter.Seq2[*scoredRow, error]) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	free := semaphore.NewWeighted(windowBytes)
	begun := make(chan *scoredRow)
	done := make(chan *scoredRow, windowRows) // never full, so that no worker waits for the collector
	var reader, workers sync.WaitGroup
	reader.Go(func() {
		defer close(begun)
		position := int64(0)
		for r, err := range rows {
			if err != nil {
				cancel(err)
				return
			}
			r.position = position
			position++
			if free.Acquire(ctx, r.weight()) != nil {
				return
			}
			select {
			case begun <- r:
			case <-ctx.Done():
				return
			}
		}
	})
	for range w.workers {
		workers.Go(func() {
			for r := range begun {
				r.err = w.work(ctx, r)
				done <- r
			}
		})
	}
	go func() { // ends with the workers, which are waited for below
		workers.Wait()
		close(done)
	}()
	w.collect(ctx, cancel, free, done)
	reader.Wait()
	return context.Cause(ctx)
}

// collect takes the finished rows until there are none any more.
func (w window) collect(ctx context.Context, cancel context.CancelCauseFunc, free *semaphore.Weighted, done <-chan *scoredRow) {
	waiting := map[int64]*scoredRow{}
	next := int64(0)
	for r := range done {
		if ctx.Err() != nil {
			continue
		}
		if r.err == nil {
			r.err = w.finished(r)
		}
		if r.err != nil {
			cancel(r.err)
			continue
		}
		waiting[r.position] = r
		for first := waiting[next]; first != nil; first = waiting[next] {
			if err := w.inOrder(first); err != nil {
				cancel(err)
				break
			}
			delete(waiting, next)
			free.Release(first.weight())
			next++
		}
	}
}

// weight is the row's share of the window.
func (r *scoredRow) weight() int64 {
	return min(max(r.size(), windowBytes/windowRows), windowBytes)
}
