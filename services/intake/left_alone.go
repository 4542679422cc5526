package intake

import (
	"context"
	"errors"

	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// errLeftAlone is why a request is given back.
var errLeftAlone = errors.New("this process leaves the request to a later one")

// holding returns a handler that gives the requests back that hold reports. A request that
// cannot be read never reaches it: it starts nothing, and no later process reads more of it.
func holding(hold func(ctx context.Context, request uint64) bool, handle delivery.Handler) delivery.Handler {
	if hold == nil {
		return handle
	}
	return func(ctx context.Context, d delivery.Delivery) error {
		if !hold(ctx, d.Sequence) {
			return handle(ctx, d)
		}
		delay := delivery.LeftAloneDelay(d.Delivered)
		if ctx.Err() != nil { // this process stops, and the next one may have it at once
			delay = 0
		}
		return &delivery.RetryAfter{Delay: delay, Err: errLeftAlone, Bounded: true}
	}
}
