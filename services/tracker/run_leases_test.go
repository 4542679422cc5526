package tracker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/lease"
)

// takenLeases are leases that another tracker holds for a number of tries.
type takenLeases struct {
	taken int
	names []string
}

func (l *takenLeases) withLease(ctx context.Context, name string, do func(context.Context) error) error {
	l.names = append(l.names, name)
	if l.taken--; l.taken >= 0 {
		return fmt.Errorf("lease: %w", lease.ErrTaken)
	}
	return do(ctx)
}

func TestRunLeasesTry(t *testing.T) {
	t.Parallel()
	leases := &takenLeases{taken: 1}
	calls := 0
	do := func(context.Context) error { calls++; return nil }
	if err := (runLeases{withLease: leases.withLease}).try(t.Context(), "r", do); !errors.Is(err, lease.ErrTaken) || calls != 0 {
		t.Errorf("a lease that is taken: %v, %d calls", err, calls)
	}
	if err := (runLeases{withLease: leases.withLease}).try(t.Context(), "r", do); err != nil || calls != 1 || leases.names[1] != "track.r" {
		t.Errorf("a free lease: %v, %d calls, %q", err, calls, leases.names)
	}
}

func TestRunLeasesWait(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	do := func(context.Context) error { return broken }
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx      context.Context
		taken    int
		patience time.Duration
		want     error
	}{
		"until it is free": {t.Context(), 3, time.Minute, broken},
		"for too long":     {t.Context(), 1 << 30, 5 * time.Millisecond, lease.ErrTaken},
		"cancelled":        {cancelled, 1 << 30, time.Minute, context.Canceled},
	} {
		leases := runLeases{withLease: (&takenLeases{taken: c.taken}).withLease, patience: c.patience, poll: time.Millisecond}
		if err := leases.wait(c.ctx, "r", do); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
