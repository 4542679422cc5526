package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// PublishNext publishes the event that follows from a stored fact, if one does.
// It succeeds as well if another service has published that event before. Earlier
// phases of which run does not know the end are read from the leader.
func (j *Journal) PublishNext(ctx context.Context, stored events.Fact, run events.Run) error {
	failpoint.Here(failpoint.BeforeNext)
	run, err := j.withEarlierPhases(ctx, stored, run)
	if err != nil {
		return fmt.Errorf("follow %s: %w", stored.Subject(), err)
	}
	next, err := events.Next(stored, run)
	if err != nil {
		return err
	}
	if next == nil {
		return nil
	}
	_, err = j.Publish(ctx, next, Fence{})
	if _, fenced := errors.AsType[*FencedError](err); err != nil && !fenced {
		return fmt.Errorf("follow %s: %w", stored.Subject(), err)
	}
	return nil
}

// withEarlierPhases adds to a run the ends of the phases before that of a stored
// completion. Runs are read by direct gets, which any replica of the stream
// answers, and a replica that lags behind the leader leaves the newest facts out.
// The event that follows would then lack those phases for ever. An end that no
// program can read stays away.
func (j *Journal) withEarlierPhases(ctx context.Context, stored events.Fact, run events.Run) (events.Run, error) {
	completed, ok := stored.(events.PhaseCompleted)
	if !ok {
		return run, nil
	}
	for _, p := range run.UnknownBefore(completed.Phase) {
		m, err := j.latest(ctx, events.StreamFacts, events.CompletedSubject(p, completed.RunID))
		switch {
		case errors.Is(err, streams.ErrNotFound):
		case err != nil:
			return run, err
		default:
			if earlier, ok := m.Event.(events.PhaseCompleted); ok {
				run = run.With(earlier)
			}
		}
	}
	return run, nil
}
