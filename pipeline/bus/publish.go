package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Fence is the condition under which the stream takes an event. The zero
// Fence has no condition; the one-shot subject still guards every fact.
type Fence struct {
	filter   string
	sequence uint64
}

// IfNone is the fence of a first claim: nothing is stored on subject.
func IfNone(subject string) Fence { return Fence{filter: subject} }

// IfLast is the fence of an owner: the newest message that matches filter
// still is the one at sequence.
func IfLast(filter string, sequence uint64) Fence { return Fence{filter: filter, sequence: sequence} }

// LostError says that somebody else was first: an event with another id
// stands on the subject, or the fence's token is no longer the newest.
type LostError struct {
	Subject string
	// Winner is the id that stands on the subject; empty if the fence fell.
	Winner string
}

func (e *LostError) Error() string {
	if e.Winner == "" {
		return fmt.Sprintf("publish %s: a newer attempt holds the job", e.Subject)
	}
	return fmt.Sprintf("publish %s: %s was stored before", e.Subject, e.Winner)
}

// The codes of refusals that have to be read. Source: the server's error
// table, errors.json of nats-server v2.15.
const (
	codeWrongLastSequence = 10071
	codeStoreFailed       = 10077
	codeDuplicateInFlight = 10158
	codeFenceInFlight     = 10164
)

// Publish stores ev and returns what is stored on its subject. It answers
// only when it knows: a refusal and a lost answer are read back from the
// stream's leader. While the stream is full or out of reach it tries again,
// loudly, until ctx ends. The error is a [*LostError] when somebody else's
// event stands there or the fence fell.
func (b *Bus) Publish(ctx context.Context, ev events.Event, fence Fence) (Message, error) {
	id := messageID(ev)
	msg, err := b.encode(ctx, ev, id)
	if err != nil {
		return Message{}, err
	}
	stream := streamOf(ev)
	var opts []jetstream.PublishOpt
	if fence.filter != "" {
		opts = append(opts, jetstream.WithExpectLastSequenceForSubject(fence.sequence, fence.filter))
	}
	failpoint.Publishing(ev)
	for try := 0; ; try++ {
		pubCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		ack, err := b.js.PublishMsg(pubCtx, msg, opts...)
		cancel()
		if err == nil {
			failpoint.Published(ev)
			return Message{Event: ev, ID: id, Subject: msg.Subject, Stream: stream, Sequence: ack.Sequence, Time: time.Now()}, nil
		}
		if tooLarge(err) {
			return Message{}, fmt.Errorf("publish %s: %w", msg.Subject, err)
		}
		stored, known, rerr := b.readBack(ctx, ev, id, stream, fence, code(err))
		if known {
			return stored, rerr
		}
		if ctx.Err() != nil {
			return Message{}, fmt.Errorf("publish %s: %w (%w)", msg.Subject, context.Cause(ctx), err)
		}
		if err := b.pause(ctx, msg.Subject, try, err); err != nil {
			return Message{}, err
		}
	}
}

// readBack finds out what a refused or unanswered publish came to. known is
// false when nothing is known yet and the publish has to be tried again.
func (b *Bus) readBack(ctx context.Context, ev events.Event, id, stream string, fence Fence, code jetstream.ErrorCode) (stored Message, known bool, err error) {
	if stream == events.StreamRequests || stream == events.StreamMetrics {
		return Message{}, false, nil // many messages a subject: the message id alone guards a repetition
	}
	last, err := b.whose(ctx, stream, ev.Subject())
	switch {
	case err == nil && last.ID == id:
		return last, true, nil
	case err == nil:
		return last, true, &LostError{Subject: ev.Subject(), Winner: last.ID}
	case !errors.Is(err, ErrNothing):
		return Message{}, false, nil
	}
	if code != codeWrongLastSequence || fence.filter == "" {
		return Message{}, false, nil
	}
	newest, err := b.whose(ctx, stream, fence.filter)
	if err == nil && newest.Sequence != fence.sequence {
		return newest, true, &LostError{Subject: ev.Subject()}
	}
	return Message{}, false, nil
}

// whose is the newest message on a subject, of which only the id and the
// sequence matter: what somebody else stored there took the place also if it
// cannot be decoded.
func (b *Bus) whose(ctx context.Context, stream, subject string) (Message, error) {
	m, err := b.leaderLast(ctx, stream, subject)
	if Undecodable(err) {
		return m, nil
	}
	return m, err
}

// pause waits before the next try: a jittered moment for what passes by
// itself, longer and loudly for a full stream.
func (b *Bus) pause(ctx context.Context, subject string, try int, cause error) error {
	wait := time.Duration(rand.Int64N(int64(20*time.Millisecond) << min(try, 6)))
	if code(cause) == codeStoreFailed {
		wait += 500 * time.Millisecond << min(try, 4)
		b.log.Error("the stream is full or cannot store; trying again", "subject", subject, "try", try+1, "error", cause)
	} else if try > 3 {
		b.log.Warn("publishing takes long; trying again", "subject", subject, "try", try+1, "error", cause)
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("publish %s: %w (%w)", subject, context.Cause(ctx), cause)
	}
}

// Announce sends a metric event without waiting: metric points may be lost,
// and work must not wait for them.
func (b *Bus) Announce(ctx context.Context, ev events.Event) error {
	msg, err := b.encode(ctx, ev, messageID(ev))
	if err != nil {
		return err
	}
	if err := b.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("announce %s: %w", msg.Subject, err)
	}
	return nil
}

func streamOf(ev events.Event) string {
	switch ev.(type) {
	case events.PipelineRequested:
		return events.StreamRequests
	case events.Progress, events.Telemetry:
		return events.StreamMetrics
	default:
		return events.StreamFacts
	}
}

func code(err error) jetstream.ErrorCode {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}

func tooLarge(err error) bool { return errors.Is(err, nats.ErrMaxPayload) }
