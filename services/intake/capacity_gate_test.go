package intake

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

type fakeUsage struct {
	usage float64
	calls int
}

func (u *fakeUsage) StreamUsage(context.Context, string) (float64, error) {
	u.calls++
	return u.usage, nil
}

func TestCapacityGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := &fakeUsage{usage: 0.8}
		g := &capacityGate{streams: streams, fullAt: 0.8, recheck: time.Minute, log: slog.New(slog.DiscardHandler)}
		wantRetry(t, g.waitForCapacity(t.Context(), 1), time.Minute, time.Minute)
		streams.usage = 0.1
		wantRetry(t, g.waitForCapacity(t.Context(), 1), time.Minute, time.Minute)
		if streams.calls != 1 {
			t.Errorf("the usage was measured %d times within a second, want once", streams.calls)
		}
		time.Sleep(usageMaxAge)
		if err := g.waitForCapacity(t.Context(), 1); err != nil {
			t.Errorf("the stream has capacity again: %v", err)
		}
	})
}
