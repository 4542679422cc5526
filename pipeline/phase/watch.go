package phase

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
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

// door opens the doorbell of a run. It has to be open before the run is read,
// so that nothing falls in between.
func (w *Worker) door(run string) *bus.Door {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bells == nil {
		bells, err := w.bus.Bells(string(w.cfg.Phase)+".started.>", string(w.cfg.Phase)+".completed.*", events.TypeCancelRequested+".*")
		if err != nil {
			w.cfg.Logger.Warn("no doorbell; looking now and then instead", "run", run, "error", err)
			return nil
		}
		w.bells = bells
	}
	return w.bells.Door(run)
}

// watch returns a context for the work, which ends with [errLost] or
// [errCancelled] when the stream says so. Rings only make it look at once;
// what core NATS shows may be a publish that the stream refused.
func (w *Worker) watch(ctx context.Context, c claim) (context.Context, *watcher) {
	ctx, cancel := context.WithCancelCause(ctx)
	v := &watcher{cancel: cancel}
	var rings <-chan struct{}
	if c.door != nil {
		rings = c.door.Rings
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
				if errors.Is(why, errLost) {
					c.quiet()
				}
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
	run, err := w.bus.JobRun(ctx, c.req.Phase, c.req.RunID)
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
