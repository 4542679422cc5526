package worker

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
)

// TestRetryingStore: an unavailable store is retried until the budget is used
// up or the context ends; any other error is returned at once.
func TestRetryingStore(t *testing.T) {
	t.Parallel()
	full := &artifact.UnavailableError{Err: errors.New("full")}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		err       error
		mended    time.Duration // when the store works again; 0: never
		cancelled time.Duration // when the context ends; 0: never
		want      error
		low, high time.Duration // how long it takes
	}{
		"works":                 {nil, 0, 0, nil, 0, 0},
		"another error":         {broken, 0, 0, broken, 0, 0},
		"full for a minute":     {full, time.Minute, 0, nil, time.Minute, 2 * time.Minute},
		"full for ever":         {full, 0, 0, full, 59 * time.Minute, time.Hour},
		"cancelled in the wait": {full, 0, 10 * time.Second, full, 10 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := time.Now()
				store := &fakeStore{bad: func(events.Reference) error {
					if c.mended > 0 && time.Since(began) >= c.mended {
						return nil
					}
					return c.err
				}}
				if c.cancelled > 0 {
					time.AfterFunc(c.cancelled, cancel)
				}
				s := retryingStore{store: store, budget: time.Hour}.logTo(slog.New(slog.DiscardHandler))
				err := s.FetchDir(ctx, events.Reference{Key: "k"}, "dir")
				if !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("it returns %v, want %v", err, c.want)
				}
				if took := time.Since(began); took < c.low || took > c.high {
					t.Errorf("it took %s, want %s to %s", took, c.low, c.high)
				}
			})
		})
	}
}
