package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// minDeadlineRecheck is the shortest delay, or an eighth of the time that is
// left, before the run of a deadline is looked at again. Without it, the message
// of a run that has ended would remain in the consumer until the deadline; with
// a fixed delay, a far deadline would use up the deliveries of its message.
const minDeadlineRecheck = time.Hour

// deadlines handles pipeline.accepted: at the deadline of a run that has not
// ended it publishes pipeline.cancel_requested.
type deadlines struct {
	runs      runReader
	publisher publisher
}

// acceptedDeadline is the part of an accepted event that has the deadline.
type acceptedDeadline struct {
	RequestedAt   time.Time `json:"requested_at"`
	Specification struct {
		Pipeline struct {
			Deadline string `json:"deadline"`
		} `json:"pipeline"`
	} `json:"specification"`
}

func (h *deadlines) handle(ctx context.Context, d delivery.Delivery) error {
	if !mayHaveDeadline(d.Data) {
		return nil
	}
	var accepted acceptedDeadline
	subject, err := events.ParseSubject(d.Subject)
	if err == nil {
		err = json.Unmarshal(d.Data, &accepted)
	}
	if err != nil {
		return &delivery.DeadLetterError{Err: fmt.Errorf("%s is no accepted run: %w", d.Subject, err)}
	}
	text := accepted.Specification.Pipeline.Deadline
	limit := events.Pipeline{Deadline: text}.Limit()
	if limit == 0 {
		return nil
	}
	run, err := h.runs.read(ctx, subject.Run)
	if err != nil || run.Completed != nil || run.Deleted != nil {
		return err
	}
	if left := time.Until(accepted.RequestedAt.Add(limit)); left > 0 {
		recheck := max(minDeadlineRecheck, left/8)
		return &delivery.RetryAfter{Delay: min(left, recheck), Err: errors.New("the deadline is still ahead"), Bounded: true}
	}
	cancel := events.CancelRequested{
		RunID:  subject.Run,
		By:     "deadline",
		Reason: "the run did not end within pipeline.deadline = " + text,
	}
	_, err = h.publisher.Publish(ctx, cancel, journal.Fence{})
	if _, lost := errors.AsType[*journal.FencedError](err); lost {
		return nil // a cancel request exists already
	}
	return err
}

// mayHaveDeadline reports whether JSON can have a member "deadline" that is not
// empty. Nearly all runs have no deadline, and this look costs far less than
// parsing the whole specification. The name can not occur inside a text, where its
// quotes would be escaped.
func mayHaveDeadline(data []byte) bool {
	const member, empty = `"deadline"`, `:""`
	for {
		_, rest, found := bytes.Cut(data, []byte(member))
		if !found {
			return false
		}
		if !bytes.HasPrefix(rest, []byte(empty)) {
			return true
		}
		data = rest
	}
}
