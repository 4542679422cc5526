package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// PublishNext publishes the event that follows from a stored fact, if one does.
// It succeeds as well if another service has published that event before.
func (j *Journal) PublishNext(ctx context.Context, stored events.Fact, run events.Run) error {
	failpoint.Here(failpoint.BeforeNext)
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
