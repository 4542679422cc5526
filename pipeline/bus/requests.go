package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
)

// Span is a part of a stream, both ends included. What is zero is no bound.
type Span struct {
	First, Last  uint64
	Since, Until time.Time
}

var errBehindSpan = errors.New("behind the span")

// LastRequest is the sequence of the newest request; 0 before the first.
func (b *Bus) LastRequest(ctx context.Context) (uint64, error) {
	s, err := b.js.Stream(ctx, events.StreamRequests)
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", events.StreamRequests, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Requests calls each for every request of a span, in the stream's order, page
// by page. The error of one that cannot be decoded is given to each with what
// is known of it.
func (b *Bus) Requests(ctx context.Context, span Span, each func(Delivery, error) error) error {
	from := query{Sequence: max(1, span.First)}
	if span.First == 0 && !span.Since.IsZero() {
		from = query{Since: span.Since}
	}
	err := b.scan(ctx, events.StreamRequests, from, events.TypePipelineRequested, func(e entry) error {
		switch {
		case span.Last > 0 && e.sequence > span.Last, !span.Until.IsZero() && e.time.After(span.Until):
			return errBehindSpan
		case e.time.Before(span.Since):
			return nil
		}
		said, err := b.decode(e.subject, e.header, e.data)
		return each(Delivery{
			Message: Message{Event: said.event, ID: said.id, Subject: e.subject, Stream: e.stream, Sequence: e.sequence, Time: e.time},
			Data:    said.data, Bare: said.bare,
		}, err)
	})
	if errors.Is(err, errBehindSpan) {
		return nil
	}
	return err
}
