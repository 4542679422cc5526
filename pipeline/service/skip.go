package service

import (
	"context"
	"errors"

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
		return &delivery.RetryAfter{Delay: delivery.LeftAloneDelay(d.Delivered), Err: errSkipped, Bounded: true}
	}
}
