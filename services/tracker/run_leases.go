package tracker

import (
	"context"
	"errors"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus"
)

// leaser calls do while it holds the lease with a name. It returns an error
// that matches bus.ErrHeld if another process holds the lease.
type leaser interface {
	Hold(ctx context.Context, name string, do func(ctx context.Context) error) error
}

// runLeases keeps two trackers from writing one run at the same time.
type runLeases struct {
	leaser leaser
	// patience is how long wait waits, and poll how often it tries.
	patience, poll time.Duration
}

// try calls do under the lease of the run. The error matches bus.ErrHeld if
// another tracker is writing the run.
func (l runLeases) try(ctx context.Context, run string, do func(ctx context.Context) error) error {
	return l.leaser.Hold(ctx, "track."+run, do)
}

// wait is try, and waits while another tracker is writing the run.
func (l runLeases) wait(ctx context.Context, run string, do func(ctx context.Context) error) error {
	for deadline := time.Now().Add(l.patience); ; {
		err := l.try(ctx, run, do)
		if !errors.Is(err, bus.ErrHeld) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(l.poll):
		}
	}
}
