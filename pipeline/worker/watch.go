package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/wakeup"
)

var (
	errLost      = errors.New("another attempt holds the job, or the phase is completed")
	errCancelled = errors.New("the run was cancelled")
)

// watcher looks whether an attempt still owns its job.
type watcher struct {
	// held ends when the job is lost, cancelled or out of time, which its
	// cause says, or else some time after the process was told to stop; work
	// also ends as soon as that happens.
	held, work context.Context
	cancel     context.CancelFunc
	done       sync.WaitGroup
}

// door opens the doorbell of a run. It has to be open before the run is read,
// so that nothing falls in between.
func (w *Worker) door(run string) *wakeup.RunSubscription {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bells == nil {
		bells, err := wakeup.NewRunNotifier(w.bus, string(w.cfg.Phase)+".started.>", string(w.cfg.Phase)+".completed.*", events.TypeCancelRequested+".*")
		if err != nil {
			w.cfg.Logger.Warn("no doorbell; looking now and then instead", "run", run, "error", err)
			return nil
		}
		w.bells = bells
	}
	return w.bells.Subscribe(run)
}

// watch watches over a job until stop is called. Rings only make it look at
// once; what core NATS shows may be a publish that the stream refused.
func (w *Worker) watch(ctx, end context.Context, c *claim) *watcher {
	held, lose := context.WithCancelCause(end)
	timer := func() {}
	if until, ok := c.until(); ok {
		held, timer = context.WithDeadlineCause(held, until, c.overtime())
	}
	work, cut := context.WithCancel(held)
	stopped := context.AfterFunc(ctx, cut)
	v := &watcher{work: work, held: held, cancel: func() {
		stopped()
		cut()
		timer()
		lose(nil)
	}}
	var rings <-chan struct{}
	if c.door != nil {
		rings = c.door.C
	}
	v.done.Go(func() {
		tick := time.NewTicker(w.cfg.Look)
		defer tick.Stop()
		var again <-chan time.Time
		for {
			select {
			case <-work.Done():
				return
			case <-rings:
			case <-tick.C:
			case <-c.late.came:
				again = time.After(lateAgain)
				continue
			case <-again:
			}
			if why := w.look(work, c); why != nil {
				if errors.Is(why, errLost) {
					c.quiet()
				}
				lose(why)
				return
			}
			again = nil
			if !w.pointLate(work, c) {
				again = time.After(lateAgain)
			}
		}
	})
	return v
}

// stop ends the watching and waits for its end.
func (v *watcher) stop() {
	v.cancel()
	v.done.Wait()
}

// look reads the run and says why the work should end, or nil. A run that
// cannot be read is no reason: while disconnected, the work goes on.
func (w *Worker) look(ctx context.Context, c *claim) error {
	run, err := history.New(w.bus).RunForJob(ctx, c.req)
	if err != nil && !codec.IsUndecodable(err) {
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
