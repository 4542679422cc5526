package service

import (
	"context"
	"errors"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// errSkipped is why a job is given back.
var errSkipped = errors.New("this process leaves the run alone")

// skipping returns a handler that gives the jobs of some runs back.
func skipping(skip func(run string) bool, handle delivery.Handler) delivery.Handler {
	return func(ctx context.Context, d delivery.Delivery) error {
		subject, err := events.ParseSubject(d.Subject)
		if err != nil || !skip(subject.Run) {
			return handle(ctx, d)
		}
		return &delivery.RetryAfter{Delay: skipDelay(d.Delivered), Err: errSkipped, Bounded: true}
	}
}

// skipDelay is how long a job is given back for, by the number of its delivery. It
// is short at first, so that a later process gets the job soon, and longer for a
// process that works for days, because a consumer delivers a message only
// so many times.
func skipDelay(delivered int) time.Duration {
	const first, short, long = 100, 30 * time.Second, 10 * time.Minute
	if delivered <= first {
		return short
	}
	return long
}
