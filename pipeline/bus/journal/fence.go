package journal

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
)

// Fence is the condition under which the stream stores an event. The zero
// Fence has no condition; the stream still stores one message per subject.
type Fence struct {
	filter   string
	sequence uint64
}

// FenceAbsent is the fence of a first claim: there is no message on subject.
func FenceAbsent(subject string) Fence { return Fence{filter: subject} }

// FenceAttempt is the fence of the attempt that owns a job: no later attempt has
// started. Attempts are numbered without gaps, so it is enough that the next one is
// absent. On a cluster the leader checks a condition when it proposes a message. It
// counts the messages that are still on their way to the replicas, but only for a
// condition on one subject, and not for a filter with wildcards (nats-server 2.15,
// checkMsgHeadersPreClusteredProposal).
func FenceAttempt(p events.Phase, run string, attempt int) Fence {
	return FenceAbsent(events.PhaseStarted{RunID: run, Phase: p, Attempt: attempt + 1}.Subject())
}

// FenceLatest is the fence of what was derived from all messages that match a
// filter, the newest of which has the sequence. The stream refuses the event once
// it holds a newer one. On a cluster a newer one that is stored at the same moment
// may be overlooked, so it is not for ownership.
func FenceLatest(filter string, sequence uint64) Fence {
	return Fence{filter: filter, sequence: sequence}
}

// FencedError means that the stream refused an event: its subject holds
// another event, a newer fencing token exists, or the run was removed.
type FencedError struct {
	Subject string
	// Winner is the id of the event on the subject; empty if a newer fencing
	// token exists, or if Removed is true.
	Winner string
	// Removed is true if the stream holds none of the messages any more from which the
	// event was derived: the run was archived or deleted meanwhile.
	Removed bool
}

func (e *FencedError) Error() string {
	if e.Removed {
		return fmt.Sprintf("publish %s: the run is no longer in the stream", e.Subject)
	}
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
