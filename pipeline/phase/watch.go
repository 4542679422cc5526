package phase

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
)

var (
	errLost      = errors.New("another attempt holds the job, or the phase is completed")
	errCancelled = errors.New("the run was cancelled")
)

// watcher looks whether an attempt still owns its job.
type watcher struct {
	cancel context.CancelCauseFunc
	done   sync.WaitGroup
}

// watch returns a context for the work, which ends with [errLost] or
// [errCancelled] when the stream says so. Rings only make it look at once;
// what core NATS shows may be a publish that the stream refused.
func (w *Worker) watch(ctx context.Context, c claim) (context.Context, *watcher) {
	ctx, cancel := context.WithCancelCause(ctx)
	v := &watcher{cancel: cancel}
	started := events.PhaseStarted{RunID: c.req.RunID, Phase: c.req.Phase}.Type() + "." + c.req.RunID + ".>"
	rings, err := w.bus.Ring(ctx, started,
		events.PhaseCompleted{RunID: c.req.RunID, Phase: c.req.Phase}.Subject(),
		events.CancelRequested{RunID: c.req.RunID}.Subject())
	if err != nil {
		w.cfg.Logger.Warn("no doorbell; looking now and then instead", "run", c.req.RunID, "error", err)
	}
	v.done.Go(func() {
		tick := time.NewTicker(w.cfg.Look)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-rings:
			case <-tick.C:
			}
			if why := w.look(ctx, c); why != nil {
				cancel(why)
				return
			}
		}
	})
	return ctx, v
}

// stop ends the watching and waits for its end.
func (v *watcher) stop() {
	v.cancel(nil)
	v.done.Wait()
}

// look reads the run and says why the work should end, or nil. A run that
// cannot be read is no reason: while disconnected, the work goes on.
func (w *Worker) look(ctx context.Context, c claim) error {
	run, err := w.bus.Run(ctx, c.req.RunID)
	if err != nil {
		return nil
	}
	p := run.Phases[c.req.Phase]
	switch {
	case p == nil:
		return nil
	case p.Completed != nil, p.NextAttempt() > c.attempt+1:
		return errLost
	case run.Cancel != nil:
		return errCancelled
	}
	return nil
}
