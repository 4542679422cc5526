package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// lookEvery is how often a run with a deadline is looked at, so that those
// that have ended are not kept in mind until then.
const lookEvery = time.Hour

// bounded is what a deadline needs of an accepted run. Nearly all runs have
// none, and the rest of what was accepted is long.
type bounded struct {
	RequestedAt   time.Time `json:"requested_at"`
	Specification struct {
		Pipeline struct {
			Deadline string `json:"deadline"`
		} `json:"pipeline"`
	} `json:"specification"`
}

// Deadline waits until a run's deadline and asks for its cancellation if it
// has not ended by then.
func (s *Service) Deadline(ctx context.Context, d delivery.Delivery) error {
	var accepted bounded
	address, err := events.ParseSubject(d.Subject)
	if err == nil {
		err = json.Unmarshal(d.Data, &accepted)
	}
	if err != nil {
		return &delivery.DeadLetterError{Err: fmt.Errorf("%s is no accepted run: %w", d.Subject, err)}
	}
	asked := accepted.Specification.Pipeline.Deadline
	limit := events.Pipeline{Deadline: asked}.Limit()
	if limit == 0 {
		return nil
	}
	run, err := s.run(ctx, address.Run)
	if err != nil || run.Completed != nil {
		return err
	}
	if left := time.Until(accepted.RequestedAt.Add(limit)); left > 0 {
		return &delivery.RetryAfter{Delay: min(left, lookEvery), Err: errors.New("the deadline is still ahead")}
	}
	ask := events.CancelRequested{RunID: address.Run, By: "deadline", Reason: "the run did not end within pipeline.deadline = " + asked}
	_, err = journal.New(s.bus).Publish(ctx, ask, journal.Fence{})
	var lost *journal.FencedError
	if errors.As(err, &lost) {
		return nil // it is being cancelled already
	}
	return err
}
