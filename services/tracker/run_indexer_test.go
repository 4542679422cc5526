package tracker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
)

// TestRunIndexer: the list is updated each second while this tracker has the lease,
// rarely while pipelines are busy, once more at the end, and again after an error.
func TestRunIndexer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var updates, leases atomic.Int64
		var fails, busy atomic.Bool
		x := runIndexer{
			update: func(ctx context.Context) (bool, error) {
				if ctx.Err() != nil {
					t.Error("an update without time")
				}
				var err error
				if fails.Load() {
					err = errors.New("no bucket")
				}
				return updates.Add(1)%2 == 0, err
			},
			lease: func(ctx context.Context, do func(context.Context) error) error {
				if leases.Add(1) == 1 {
					return lease.ErrTaken
				}
				return do(ctx)
			},
			log: slog.New(slog.DiscardHandler),
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			x.run(ctx, busy.Load)
		}()
		after := func(d time.Duration, want int64, what string) {
			t.Helper()
			before := updates.Load()
			time.Sleep(d) // of the bubble's clock
			synctest.Wait()
			if got := (updates.Load() - before) / 2; got != want { // each takes two calls
				t.Errorf("%s: %d updates, want %d", what, got, want)
			}
		}
		after(time.Second, 0, "another tracker has the lease")
		after(indexRetry, 2, "the lease is free after five seconds")
		after(10*time.Second, 10, "ten quiet seconds")
		busy.Store(true)
		after(65*time.Second, 2, "a busy minute")
		busy.Store(false)
		fails.Store(true)
		time.Sleep(2 * time.Second) // of the bubble's clock
		synctest.Wait()
		fails.Store(false)
		updates.Store(0)
		after(indexRetry, 2, "after an error")
		cancel()
		<-ended
		if n := updates.Load(); n%2 != 0 || n < 6 {
			t.Errorf("%d calls, want a last update", n)
		}
	})
}

// TestRunIndexerWithoutTheLease: a tracker that ends before it gets the lease, which a killed
// process left behind, brings the list up to date nevertheless.
func TestRunIndexerWithoutTheLease(t *testing.T) {
	t.Parallel()
	updates := 0
	x := runIndexer{
		update: func(ctx context.Context) (bool, error) {
			updates++
			return updates == 2, ctx.Err()
		},
		log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	x.lease = func(context.Context, func(context.Context) error) error {
		cancel()
		return lease.ErrTaken
	}
	x.run(ctx, func() bool { return false })
	if updates != 2 {
		t.Errorf("%d updates, want 2", updates)
	}
}

// TestRunIndexerBesideALaggingCopy: where a copy of the stream lags behind, the tracker keeps
// the lease, says nothing, and goes on a second later.
func TestRunIndexerBesideALaggingCopy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		updates, leases := 0, 0
		x := runIndexer{
			update: func(context.Context) (bool, error) {
				updates++
				if updates < 3 {
					return false, fmt.Errorf("read run r: %w", history.ErrBehind)
				}
				return true, nil
			},
			lease: func(ctx context.Context, do func(context.Context) error) error {
				leases++
				return do(ctx)
			},
			log: slog.New(slog.NewTextHandler(&said, nil)),
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		x.run(ctx, func() bool { return false })
		if updates != 4 || leases != 1 || said.Len() > 0 {
			t.Errorf("%d updates with %d leases, said %q", updates, leases, said.String())
		}
	})
}
