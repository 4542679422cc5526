package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// Journal publishes events. It is safe for concurrent use.
type Journal struct {
	conn   *conn.Conn
	codec  *codec.Codec
	stored streams.Reader
	log    *slog.Logger
}

// New returns a journal on a connection.
func New(c *conn.Conn) *Journal {
	return &Journal{conn: c, codec: c.Codec(), stored: streams.New(c), log: c.Logger()}
}

// Publish stores ev and returns the message on its subject, as the package
// comment says. The error is a [*FencedError] if another event is stored there
// or the fence fell.
func (j *Journal) Publish(ctx context.Context, ev events.Event, fence Fence) (codec.Message, error) {
	ev = events.Bound(ev) // as it is stored
	id := codec.MessageID(ev)
	msg, err := j.codec.Encode(ctx, ev, id)
	if err != nil {
		return codec.Message{}, err
	}
	stream := streamOf(ev)
	failpoint.Publishing(ev)
	for try := 0; ; try++ {
		ack, err := j.send(ctx, msg, fence)
		if err == nil {
			failpoint.Published(ev)
			return codec.Message{Event: ev, ID: id, Subject: msg.Subject, Stream: stream, Sequence: ack.Sequence, Time: time.Now()}, nil
		}
		if errors.Is(err, nats.ErrMaxPayload) {
			return codec.Message{}, fmt.Errorf("publish %s: %w", msg.Subject, err)
		}
		stored, known, readErr := j.readBack(ctx, ev, id, fence, errorCode(err))
		if known {
			return stored, readErr
		}
		if ctx.Err() != nil {
			return codec.Message{}, fmt.Errorf("publish %s: %w (%w)", msg.Subject, context.Cause(ctx), err)
		}
		if err := j.backOff(ctx, msg.Subject, try, err); err != nil {
			return codec.Message{}, err
		}
	}
}

// send publishes a message once.
func (j *Journal) send(ctx context.Context, msg *nats.Msg, fence Fence) (ack *jetstream.PubAck, err error) {
	var opts []jetstream.PublishOpt
	if fence.filter != "" {
		opts = append(opts, jetstream.WithExpectLastSequenceForSubject(fence.sequence, fence.filter))
	}
	err = j.conn.Request(ctx, conn.Publish, func(ctx context.Context, js jetstream.JetStream) error {
		ack, err = js.PublishMsg(ctx, msg, opts...)
		return err
	})
	return ack, err
}

// readBack finds out what became of a publish that was refused or got no
// reply. known is false if the event has to be published again.
func (j *Journal) readBack(ctx context.Context, ev events.Event, id string, fence Fence, refusal jetstream.ErrorCode) (stored codec.Message, known bool, err error) {
	stream := streamOf(ev)
	if stream != events.StreamFacts {
		return codec.Message{}, false, nil // these subjects hold many messages; the server deduplicates by Nats-Msg-Id
	}
	latest, err := j.latest(ctx, stream, ev.Subject())
	switch {
	case err == nil && latest.ID == id:
		return latest, true, nil
	case err == nil:
		return latest, true, &FencedError{Subject: ev.Subject(), Winner: latest.ID}
	case !errors.Is(err, streams.ErrNotFound):
		return codec.Message{}, false, nil
	}
	if refusal != jetstream.JSErrCodeStreamWrongLastSequence || fence.filter == "" {
		return codec.Message{}, false, nil
	}
	newest, err := j.latest(ctx, stream, fence.filter)
	switch {
	case err == nil && newest.Sequence != fence.sequence:
		return newest, true, &FencedError{Subject: ev.Subject()}
	case errors.Is(err, streams.ErrNotFound) && fence.sequence > 0: // the run was archived or deleted meanwhile
		return codec.Message{}, true, &FencedError{Subject: ev.Subject(), Removed: true}
	}
	return codec.Message{}, false, nil
}

// latest is the newest message on a subject. A message that cannot be decoded
// occupies the subject, too.
func (j *Journal) latest(ctx context.Context, stream, subject string) (codec.Message, error) {
	raw, err := j.stored.Latest(ctx, stream, subject)
	if err != nil {
		return codec.Message{}, err
	}
	m := codec.Message{ID: raw.ID(), Subject: raw.OriginalSubject(), Stream: raw.Stream, Sequence: raw.Sequence, Time: raw.Time}
	d, err := j.codec.Decode(m.Subject, raw.Header, raw.Data)
	if err == nil {
		m.Event = d.Event
	}
	return m, nil
}

// backOff waits before the next try: a jittered moment for a refusal that
// passes by itself, longer for a full stream.
func (j *Journal) backOff(ctx context.Context, subject string, try int, cause error) error {
	delay := time.Duration(rand.Int64N(int64(20*time.Millisecond) << min(try, 6)))
	if errorCode(cause) == codeStoreFailed {
		delay += 500 * time.Millisecond << min(try, 4)
		j.log.Error("the stream is full or cannot store; trying again", "subject", subject, "try", try+1, "error", cause)
	} else if try > 3 {
		j.log.Warn("publishing takes long; trying again", "subject", subject, "try", try+1, "error", cause)
	}
	select {
	case <-time.After(delay):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("publish %s: %w (%w)", subject, context.Cause(ctx), cause)
	}
}

// PublishMetric sends a metric event or lines of a log and does not wait for the
// stream: they may get lost, and work must not wait for them.
func (j *Journal) PublishMetric(ctx context.Context, ev events.Event) error {
	msg, err := j.codec.Encode(ctx, ev, codec.MessageID(ev))
	if err != nil {
		return err
	}
	if err := j.conn.Send(conn.PublishMetric, msg); err != nil {
		return fmt.Errorf("publish %s: %w", msg.Subject, err)
	}
	return nil
}

func streamOf(ev events.Event) string {
	switch ev.(type) {
	case events.PipelineRequested:
		return events.StreamRequests
	case events.Progress, events.Telemetry:
		return events.StreamMetrics
	case events.Log:
		return events.StreamLogs
	default:
		return events.StreamFacts
	}
}
