package runwatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// A wait goes on while reads fail: a lost reply, a reconnect or an election ends
// a look, and says nothing about the run.
const (
	// firstPatience is how long a wait tries to read for the first time, and
	// patience how long it goes on after it has read something.
	firstPatience = 30 * time.Second
	patience      = 10 * time.Minute
)

// UnansweredError says that a wait was given up because NATS did not answer any
// more. The run goes on.
type UnansweredError struct {
	// For is how long NATS has not answered.
	For time.Duration
	Err error
}

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("NATS has not answered for %s: %v", e.For.Round(time.Second), e.Err)
}

// Unwrap returns the error of the last read.
func (e *UnansweredError) Unwrap() error { return e.Err }

// persistence decides whether a wait goes on after a read that failed.
type persistence struct {
	// onTrouble, if set, is called at the first failure in a row that is tried
	// again, with how long it is tried.
	onTrouble func(time.Duration, error)

	said, succeeded bool
	since           time.Time // of the first failure in a row
}

// read notes the result of a read. It returns the error with which the wait is
// to end: nil while it goes on. ok is false if there is nothing to look at.
func (p *persistence) read(ctx context.Context, err error) (ok bool, end error) {
	now := time.Now()
	switch {
	case err == nil:
		p.succeeded, p.said, p.since = true, false, time.Time{}
		return true, nil
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case !conn.IsUnanswered(err) && (!p.succeeded || isFinal(err)):
		return false, err
	}
	if p.since.IsZero() {
		p.since = now
	}
	limit := firstPatience
	if p.succeeded {
		limit = patience
	}
	if deadline, ok := ctx.Deadline(); ok { // a person who said how long to wait knows better
		limit = max(limit, deadline.Sub(p.since).Round(time.Second))
	}
	if away := now.Sub(p.since); away > limit {
		return false, &UnansweredError{For: away, Err: err}
	}
	if !p.said && p.onTrouble != nil {
		p.said = true
		p.onTrouble(limit, err)
	}
	return false, nil
}

// isFinal reports whether an error says something about the run. Any other one,
// such as that of a stream without a leader, passes.
func isFinal(err error) bool {
	_, rejected := errors.AsType[*RejectedError](err)
	_, deleted := errors.AsType[*DeletedError](err)
	return rejected || deleted || codec.IsUndecodable(err)
}
