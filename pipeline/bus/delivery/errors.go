package delivery

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// RetryAfter is a handler's error that asks for the message again after a
// delay. The redelivery counts as a delivery of the consumer's limit.
type RetryAfter struct {
	// Delay is how long the server keeps the message back; at least 1 ns.
	Delay time.Duration
	// Err is why.
	Err error
	// Bounded is set if the handler itself limits how often it asks for the
	// message again, for example by a deadline or by the tries of a job.
	// Otherwise [Router.RetryFor] limits it.
	Bounded bool
}

func (e *RetryAfter) Error() string { return fmt.Sprintf("again in %s: %v", e.Delay, e.Err) }

// Unwrap returns the cause.
func (e *RetryAfter) Unwrap() error { return e.Err }

// DeadLetterError is a handler's error that makes the message a dead letter:
// it is copied to the dead letters with the reason, and not delivered again.
type DeadLetterError struct{ Err error }

func (e *DeadLetterError) Error() string { return fmt.Sprintf("given up: %v", e.Err) }

// Unwrap returns the cause.
func (e *DeadLetterError) Unwrap() error { return e.Err }

// ErrOwnershipLost is a handler's error that means that another worker owns the
// message now. The server gets no reply, since any would act on the delivery of
// the new owner.
var ErrOwnershipLost = errors.New("another worker owns the message now")

// reason is an error as the text of a header: one line, 1 KiB at most, since
// the error may quote a message that cannot be decoded.
func reason(err error) string {
	const limit = 1 << 10
	line := strings.Join(strings.Fields(err.Error()), " ")
	if len(line) > limit {
		line = strings.ToValidUTF8(line[:limit], "") + "…"
	}
	return line
}
