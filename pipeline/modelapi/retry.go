package modelapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"time"
)

// ErrTooLong is the error of a response that is longer than its bound.
var ErrTooLong = errors.New("the response is too long")

// Away returns why no response came to a call with a timeout; nil if one came that
// cannot be read. The error of a network has the address of this machine in it, with
// a port that changes: its cause is enough, and groups with others.
func Away(err error, timeout time.Duration) error {
	var slow net.Error
	var network *net.OpError
	var address *url.Error
	switch {
	case errors.Is(err, ErrTooLong):
		return nil
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("no answer within %s", timeout)
	case errors.As(err, &network):
		return network.Err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it broke the connection")
	case errors.As(err, &address):
		return address.Err
	}
	return nil
}

// Backoff is how the pauses between the tries of a call grow.
type Backoff struct{ First, Longest time.Duration }

// Pause is the pause before a retry. It doubles from the first pause to the longest,
// of which the second half is random, so that callers spread. A server that asks for
// a pause gets at least that.
func (b Backoff) Pause(retries int, atLeast time.Duration) time.Duration {
	d := b.Longest
	if retries < 30 {
		d = min(b.First<<retries, b.Longest)
	}
	d = d/2 + rand.N(d/2+1)
	return max(d, atLeast)
}
