package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/retry"
)

// pendingRetryDelay is the delay before a pending checkpoint is registered
// again: a server that has just come back may not store yet.
const pendingRetryDelay = time.Second

// ownershipWatch checks whether an attempt still owns its job.
type ownershipWatch struct {
	// ownedCtx ends when the job is lost, cancelled or overdue; its cause is the
	// reason. At a shutdown it ends when the grace is over.
	ownedCtx context.Context
	// workCtx ends with ownedCtx, and at once at a shutdown, then with the cause
	// [engine.ErrShutdown].
	workCtx context.Context

	lose   context.CancelCauseFunc
	cancel func()
	done   sync.WaitGroup
}

// watchOwnership checks the ownership of an attempt until stop is called: at
// each wake-up and once in an interval. It also registers the attempt's pending
// checkpoints.
func watchOwnership(ctx, graceCtx context.Context, a *attempt, h runReader, interval time.Duration) *ownershipWatch {
	ownedCtx, lose := context.WithCancelCause(graceCtx)
	stopTimer := func() {}
	if deadline, ok := a.deadline(); ok {
		ownedCtx, stopTimer = context.WithDeadlineCause(ownedCtx, deadline, a.timeoutError())
	}
	workCtx, stopWork := context.WithCancelCause(ownedCtx)
	unlink := context.AfterFunc(ctx, func() { stopWork(engine.ErrShutdown) })
	w := &ownershipWatch{ownedCtx: ownedCtx, workCtx: workCtx, lose: lose}
	w.cancel = func() {
		unlink()
		stopWork(nil)
		stopTimer()
		lose(nil)
	}
	w.done.Go(func() { w.run(a, h, interval) })
	return w
}

func (w *ownershipWatch) run(a *attempt, h runReader, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var retryTimer <-chan time.Time
	for {
		select {
		case <-w.workCtx.Done():
			return
		case <-a.wakeups.C():
		case <-tick.C:
		case <-a.checkpoints.BecamePending():
			retryTimer = time.After(pendingRetryDelay)
			continue
		case <-retryTimer:
		}
		if why := checkOwnership(w.workCtx, h, a.req, a.number); why != nil {
			if errors.Is(why, retry.ErrLost) {
				a.stopHeartbeat()
			}
			w.lose(why)
			return
		}
		retryTimer = nil
		if a.checkpoints.RetryPending(w.workCtx) {
			retryTimer = time.After(pendingRetryDelay)
		}
	}
}

// stop ends the watch and waits for its end.
func (w *ownershipWatch) stop() {
	w.cancel()
	w.done.Wait()
}

// checkOwnership reads the run and returns why the work should end, or nil. A
// run that cannot be read is no reason: while NATS is unreachable, the work goes
// on.
func checkOwnership(ctx context.Context, h runReader, job events.PhaseRequested, attempt int) error {
	run, err := h.RunForJob(ctx, job)
	if err != nil && !codec.IsUndecodable(err) {
		return nil
	}
	p := run.Phases[job.Phase]
	switch {
	case p == nil:
		return nil
	case p.Completed != nil, p.NextAttempt() > attempt+1:
		return retry.ErrLost
	case run.Cancel != nil:
		return retry.ErrCancelled
	}
	return nil
}
