package evaluation

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/pipeline/prediction"
)

// someRows makes n rows, and counts how many were read.
func someRows(n int64, read *atomic.Int64, answer string) iter.Seq2[*scoredRow, error] {
	return func(yield func(*scoredRow, error) bool) {
		for i := range n {
			if read.Add(1); !yield(&scoredRow{tuned: prediction.Prediction{Index: i, Answer: answer}}, nil) {
				return
			}
		}
	}
}

// TestWindowFlows: one slow row holds nothing up but what comes out behind it, and
// rows come out in their order. In lock-step it would take 100 times as long.
func TestWindowFlows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var read atomic.Int64
		var order []int64
		finished := 0
		began := time.Now()
		w := window{
			workers: 4,
			work: func(_ context.Context, r *scoredRow) error {
				switch r.tuned.Index {
				case 0:
					time.Sleep(time.Minute)
				default:
					time.Sleep(time.Second)
				}
				return nil
			},
			finished: func(*scoredRow) error {
				if finished++; finished == 150 && len(order) > 0 {
					t.Error("a row came out before the first")
				}
				return nil
			},
			inOrder: func(r *scoredRow) error {
				order = append(order, r.tuned.Index)
				return nil
			},
		}
		if err := w.run(t.Context(), someRows(200, &read, "")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 70*time.Second {
			t.Errorf("it took %s", took)
		}
		if len(order) != 200 || finished != 200 {
			t.Fatalf("%d rows came out, %d finished", len(order), finished)
		}
		for i, position := range order {
			if position != int64(i) {
				t.Fatalf("row %d came out as number %d", position, i)
			}
		}
	})
}

// TestWindowIsBounded: while the first row is not finished, no more rows are read
// than the window holds, in number and in bytes.
func TestWindowIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		most   int64
	}{
		"rows":  {"", windowRows + 1},
		"bytes": {strings.Repeat("x", windowBytes/10), 10 + 1},
		"huge":  {strings.Repeat("x", 2*windowBytes), 1 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var read atomic.Int64
				first := make(chan struct{})
				w := window{
					workers: 4,
					work: func(_ context.Context, r *scoredRow) error {
						if r.tuned.Index == 0 {
							<-first
						}
						return nil
					},
					finished: func(*scoredRow) error { return nil },
					inOrder:  func(*scoredRow) error { return nil },
				}
				done := make(chan error)
				go func() { done <- w.run(t.Context(), someRows(2*windowRows, &read, c.answer)) }()
				synctest.Wait()
				if n := read.Load(); n > c.most {
					t.Errorf("%d rows were read", n)
				}
				close(first)
				if err := <-done; err != nil || read.Load() != 2*windowRows {
					t.Errorf("%d rows were read: %v", read.Load(), err)
				}
			})
		})
	}
}

// TestWindowEnds: the first error of a row, of a function, of the reader or of the
// context ends the work, and no goroutine stays.
func TestWindowEnds(t *testing.T) {
	t.Parallel()
	bad := errors.New("bad")
	at := func(r *scoredRow, i int64) error {
		if r.tuned.Index == i {
			return bad
		}
		return nil
	}
	none := func(*scoredRow) error { return nil }
	work := func(context.Context, *scoredRow) error { return nil }
	for name, w := range map[string]window{
		"work":     {3, func(_ context.Context, r *scoredRow) error { return at(r, 5) }, none, none},
		"finished": {3, work, func(r *scoredRow) error { return at(r, 5) }, none},
		"in order": {3, work, none, func(r *scoredRow) error { return at(r, 5) }},
		"context":  {3, func(ctx context.Context, _ *scoredRow) error { <-ctx.Done(); return context.Cause(ctx) }, none, none},
		"reader":   {3, work, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if name == "context" {
					go func() { time.Sleep(time.Second); cancel(bad) }()
				}
				var read atomic.Int64
				rows := someRows(1<<40, &read, "")
				if name == "reader" {
					rows = func(yield func(*scoredRow, error) bool) { yield(nil, bad) }
				}
				if err := w.run(ctx, rows); !errors.Is(err, bad) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
	w := window{2, work, none, none}
	if err := w.run(t.Context(), someRows(0, new(atomic.Int64), "")); err != nil {
		t.Errorf("no rows: %v", err)
	}
}
