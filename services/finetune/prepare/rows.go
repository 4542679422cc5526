package prepare

import (
	"context"
	"iter"
	"runtime"
	"sync"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
)

// batchRows is how many rows a worker prepares at a time, so that handing rows over
// costs little beside preparing them.
const batchRows = 32

// batch is some rows in a line, and what became of them once done is closed. err is
// of the row behind those that are prepared.
type batch struct {
	rows     []row.Row
	prepared []Row
	err      error
	done     chan struct{}
}

// Rows prepares the rows of a data set in order. It ends after the first error,
// which names the row.
func (p *Preparer) Rows(ctx context.Context, set *dataset.Dataset) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		workers := p.config.Workers
		if workers < 1 {
			workers = runtime.GOMAXPROCS(0)
		}
		given := ctx
		ctx, stop := context.WithCancel(given)
		var all sync.WaitGroup
		defer all.Wait()
		defer stop()
		work, order := make(chan *batch), make(chan *batch, 2*workers) // order bounds what is in memory
		s := set.Info().Shape
		for range workers {
			all.Go(func() {
				for b := range work {
					p.prepareBatch(b, s)
				}
			})
		}
		all.Go(func() {
			defer close(order)
			defer close(work)
			readBatches(ctx, set, func(b *batch) bool {
				select {
				case order <- b:
				case <-ctx.Done():
					return false
				}
				select {
				case work <- b:
					return true
				case <-ctx.Done():
					close(b.done)
					return false
				}
			})
		})
		for b := range order {
			<-b.done
			for _, r := range b.prepared {
				if !yield(r, nil) {
					return
				}
			}
			if b.err != nil {
				yield(Row{}, b.err)
				return
			}
		}
		if given.Err() != nil {
			yield(Row{}, context.Cause(given))
		}
	}
}

// readBatches reads the data set to its end, to its first error, or until send is
// false.
func readBatches(ctx context.Context, set *dataset.Dataset, send func(*batch) bool) {
	b := &batch{done: make(chan struct{})}
	for r, err := range set.Rows(ctx) {
		if err != nil {
			b.err = err
			break
		}
		if b.rows = append(b.rows, r); len(b.rows) == batchRows {
			if !send(b) {
				return
			}
			b = &batch{done: make(chan struct{})}
		}
	}
	if len(b.rows) > 0 || b.err != nil {
		send(b)
	}
}

func (p *Preparer) prepareBatch(b *batch, s shape.Shape) {
	defer close(b.done)
	b.prepared = make([]Row, 0, len(b.rows))
	for _, r := range b.rows {
		one, err := p.prepare(r, s)
		if err != nil {
			b.err = err
			return
		}
		b.prepared = append(b.prepared, one)
	}
}
