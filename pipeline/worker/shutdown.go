package worker

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/retry"
)

// shutdownBudget divides the grace of a shutdown among the steps that have to
// follow each other. Each limit counts from the begin of the shutdown or later,
// and leaves time for the next step: the engine returns after its last
// checkpoint, the end of the attempt is published after the engine returned,
// and the message is settled before the grace is over.
type shutdownBudget struct {
	// Checkpoint limits the last checkpoint.
	Checkpoint time.Duration
	// Engine limits the wait for the engine.
	Engine time.Duration
	// Publish limits the publishing of how the attempt ended.
	Publish time.Duration
}

func newShutdownBudget(grace time.Duration) shutdownBudget {
	return shutdownBudget{Checkpoint: grace * 2 / 5, Engine: grace / 2, Publish: grace * 4 / 5}
}

const (
	// engineStopTime is how long an engine has to stop before its phase ends
	// without it.
	engineStopTime = 500 * time.Millisecond
	// historySaveTime limits the upload of the metric history of a failed or
	// cancelled phase. Together with engineStopTime it stays below the time that
	// intake waits after a cancel; pipeline/settings checks that.
	historySaveTime = events.CancelHandlingTime - engineStopTime
)

// withGrace returns a context that lives for d longer than ctx. Its cancel
// function has to be called.
func withGrace(ctx context.Context, d time.Duration) (context.Context, func()) {
	graceCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(d):
			cancel(retry.ErrGraceOver)
		case <-graceCtx.Done():
		}
	})
	return graceCtx, func() {
		stop()
		cancel(nil)
	}
}
