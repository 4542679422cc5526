package runwatch

import (
	"context"
	"errors"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// Decision waits until the request at a sequence is accepted, or rejected,
// which is a [RejectedError]. Where ctx runs out of time first, it returns nil
// and no error: the request is stored, and is decided later.
func (w *Watcher) Decision(ctx context.Context, id string, request uint64) (*events.PipelineAccepted, error) {
	subjects := []string{events.PipelineAccepted{RunID: id}.Subject(), events.PipelineRejected{RequestSequence: request}.Subject()}
	wake, err := w.wakeUps(ctx, subjects...)
	if err != nil {
		return nil, err
	}
	lost := time.NewTicker(time.Second) // a wake-up may be lost
	defer lost.Stop()
	var reads persistence
	for {
		accepted, err := w.decided(ctx, id, request, subjects)
		if accepted != nil {
			return accepted, nil
		}
		if _, err := reads.read(ctx, err); err != nil {
			if ctx.Err() != nil {
				return nil, unlessOutOfTime(ctx)
			}
			return nil, err
		}
		select {
		case <-wake:
		case <-lost.C:
		case <-ctx.Done():
			return nil, unlessOutOfTime(ctx)
		}
	}
}

// decided reads the decision on a request once; nil if there is none yet.
func (w *Watcher) decided(ctx context.Context, id string, request uint64, subjects []string) (*events.PipelineAccepted, error) {
	for _, subject := range subjects {
		m, err := w.facts.Latest(ctx, subject)
		if errors.Is(err, history.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if accepted, ok := m.Event.(events.PipelineAccepted); ok && accepted.Lineage.RequestSequence == request {
			return &accepted, nil
		}
		if err := w.rejected(ctx, id, request); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// unlessOutOfTime is the cause of the end of a context; nil if its time ran
// out.
func unlessOutOfTime(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// End waits for the end of a run, and returns the run as it is then. Facts
// that cannot be read do not disturb it.
func (w *Watcher) End(ctx context.Context, run events.Run) (events.Run, error) {
	wake, err := w.wakeUps(ctx, events.PipelineCompleted{RunID: run.ID}.Subject())
	if err != nil {
		return run, err
	}
	lost := time.NewTicker(time.Second) // a wake-up may be lost
	defer lost.Stop()
	var reads persistence
	for {
		now, err := w.run(ctx, run.ID)
		if codec.IsUndecodable(err) {
			err = nil
		}
		if err == nil {
			err = deletedError(now)
		}
		if _, err := reads.read(ctx, err); err != nil {
			return run, err
		}
		if now.Completed != nil {
			return now, nil
		}
		select {
		case <-wake:
		case <-lost.C:
		case <-ctx.Done():
			return run, context.Cause(ctx)
		}
	}
}

// Tracked waits until the tracker says that it is done with a run.
func (w *Watcher) Tracked(ctx context.Context, run string) error {
	subject := events.TrackingCompleted{RunID: run}.Subject()
	wake, err := w.wakeUps(ctx, subject)
	if err != nil {
		return err
	}
	lost := time.NewTicker(time.Second) // a wake-up may be lost
	defer lost.Stop()
	var reads persistence
	for {
		_, err := w.facts.Latest(ctx, subject)
		if err == nil || !errors.Is(err, history.ErrNotFound) {
			if ok, err := reads.read(ctx, err); ok || err != nil {
				return err
			}
		}
		select {
		case <-wake:
		case <-lost.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
