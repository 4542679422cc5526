package tracker

import (
	"context"
	"errors"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/lease"
)

// runLeases keeps two trackers from writing one run at the same time.
type runLeases struct {
	// withLease calls do while this process holds the lease with a name. The error
	// matches lease.ErrTaken if another process holds it.
	withLease func(ctx context.Context, name string, do func(context.Context) error) error
	// patience is how long wait waits, and poll how often it tries.
	patience, poll time.Duration
}

// try calls do under the lease of the run. The error matches lease.ErrTaken if
// another tracker is writing the run.
func (l runLeases) try(ctx context.Context, run string, do func(ctx context.Context) error) error {
	return l.withLease(ctx, "track."+run, do)
}

// wait is try, and waits while another tracker is writing the run.
func (l runLeases) wait(ctx context.Context, run string, do func(ctx context.Context) error) error {
	for deadline := time.Now().Add(l.patience); ; {
		err := l.try(ctx, run, do)
		if !errors.Is(err, lease.ErrTaken) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(l.poll):
		}
	}
}
