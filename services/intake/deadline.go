package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

// lookEvery is how often a run with a deadline is looked at, so that those
// that have ended are not kept in mind until then.
const lookEvery = time.Hour

// Deadline waits until a run's deadline and asks for its cancellation if it
// has not ended by then.
func (s *Service) Deadline(ctx context.Context, d bus.Delivery) error {
	accepted, ok := d.Event.(events.PipelineAccepted)
	if !ok {
		return &bus.Dead{Err: fmt.Errorf("%s is no accepted run", d.Subject)}
	}
	limit := accepted.Specification.Pipeline.Limit()
	if limit == 0 {
		return nil
	}
	run, err := s.run(ctx, accepted.RunID)
	if err != nil || run.Completed != nil {
		return err
	}
	if left := time.Until(accepted.RequestedAt.Add(limit)); left > 0 {
		return &bus.Later{Delay: min(left, lookEvery), Err: errors.New("the deadline is still ahead")}
	}
	ask := events.CancelRequested{RunID: accepted.RunID, By: "deadline", Reason: "the run did not end within pipeline.deadline = " + accepted.Specification.Pipeline.Deadline}
	_, err = s.bus.Publish(ctx, ask, bus.Fence{})
	var lost *bus.LostError
	if errors.As(err, &lost) {
		return nil // it is being cancelled already
	}
	return err
}
