package journal

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Fence is the condition under which the stream stores an event. The zero
// Fence has no condition; the stream still stores one message per subject.
type Fence struct {
	filter   string
	sequence uint64
}

// FenceAbsent is the fence of a first claim: no message matches subject.
func FenceAbsent(subject string) Fence { return Fence{filter: subject} }

// FenceLatest is the fence of an owner. Its fencing token is the sequence of
// the newest message that matches filter; the stream refuses the event once a
// newer one is there.
func FenceLatest(filter string, token uint64) Fence { return Fence{filter: filter, sequence: token} }

// FencedError means that the stream refused an event: its subject holds
// another event, or a newer fencing token exists.
type FencedError struct {
	Subject string
	// Winner is the id of the event on the subject; empty if a newer fencing
	// token exists.
	Winner string
}

func (e *FencedError) Error() string {
	if e.Winner == "" {
		return fmt.Sprintf("publish %s: a newer attempt holds the job", e.Subject)
	}
	return fmt.Sprintf("publish %s: %s was stored before", e.Subject, e.Winner)
}

// codeStoreFailed is the server's error for a stream that is full or cannot
// write. Source: errors.json of nats-server v2.15; the client library names no
// constant for it.
const codeStoreFailed jetstream.ErrorCode = 10077

// errorCode is the server's code of a refusal; 0 for every other error.
func errorCode(err error) jetstream.ErrorCode {
	if refusal, ok := errors.AsType[jetstream.JetStreamError](err); ok && refusal.APIError() != nil {
		return refusal.APIError().ErrorCode
	}
	return 0
}

// IsFull reports whether the server refused a publish because the stream is
// full or cannot store.
func IsFull(err error) bool { return errorCode(err) == codeStoreFailed }
