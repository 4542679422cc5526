package bus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Later is a handler's answer that asks for the message again after a delay.
type Later struct {
	Delay time.Duration
	Err   error
}

func (e *Later) Error() string { return fmt.Sprintf("again in %s: %v", e.Delay, e.Err) }

// Unwrap returns the cause.
func (e *Later) Unwrap() error { return e.Err }

// Patience is the delay after a number of deliveries that waited for
// something outside, such as a newer service: it grows from first to a
// quarter of an hour, so that a message may wait for a week before the server
// has delivered it as often as it does.
func Patience(delivered int, first time.Duration) time.Duration {
	return max(first, min(time.Duration(delivered)*first, 15*time.Minute))
}

// Dead is a handler's answer that gives a message up: it is copied to the
// dead letters with the reason and never delivered again.
type Dead struct{ Err error }

func (e *Dead) Error() string { return fmt.Sprintf("given up: %v", e.Err) }

// Unwrap returns the cause.
func (e *Dead) Unwrap() error { return e.Err }

// ErrLetGo is a handler's answer that someone else owns the message now. The
// server is told nothing, since whatever it were told would act on the new
// owner's delivery.
var ErrLetGo = errors.New("another worker owns the message now")

// The router passes no error on to the subscriber; the verdict travels in the
// message's metadata instead.
const (
	metaVerdict = "tunebus_verdict"
	metaDelay   = "tunebus_delay"
	metaReason  = "tunebus_reason"

	verdictLater = "later"
	verdictDead  = "dead"
	verdictLetGo = "let_go"
)

// Verdicts is the middleware that writes a handler's answer where
// [Subscriber] reads it. It belongs right around Watermill's Recoverer.
func Verdicts(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := h(msg)
		if err == nil {
			return out, nil
		}
		reason := err
		var later *Later
		var dead *Dead
		switch {
		case errors.Is(err, ErrLetGo):
			msg.Metadata.Set(metaVerdict, verdictLetGo)
		case errors.As(err, &dead):
			msg.Metadata.Set(metaVerdict, verdictDead)
			reason = dead.Err
		case errors.As(err, &later):
			msg.Metadata.Set(metaVerdict, verdictLater)
			msg.Metadata.Set(metaDelay, strconv.FormatInt(int64(later.Delay), 10))
			reason = later.Err
		}
		msg.Metadata.Set(metaReason, oneLine(reason))
		return out, err
	}
}

// oneLine makes an error fit for a header: one line, 1 KiB at most, since it
// may quote what could not be read.
func oneLine(err error) string {
	const most = 1 << 10
	line := strings.Join(strings.Fields(err.Error()), " ")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}

// delayOf is the delay that a verdict asks for.
func delayOf(msg *message.Message) time.Duration {
	n, err := strconv.ParseInt(msg.Metadata.Get(metaDelay), 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n)
}
