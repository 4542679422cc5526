// Package requestlog reads the stream of requests: every pipeline.requested
// that people published, for replay and for a look at what intake has not
// decided yet. It never writes.
//
//	err := requestlog.New(c).Read(ctx, requestlog.Span{Since: t}, each)
package requestlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Log reads requests.
type Log struct {
	conn   *conn.Conn
	codec  *codec.Codec
	stored streams.Reader
}

// New returns a log on a connection.
func New(c *conn.Conn) *Log { return &Log{conn: c, codec: c.Codec(), stored: streams.New(c)} }

// Request is a stored request.
type Request struct {
	codec.Message
	// Data is the request's own JSON.
	Data []byte
	// PlainJSON reports whether the message is not a CloudEvent but the
	// request's data alone.
	PlainJSON bool
}

// Span is a part of the stream, both ends included. A zero field is no bound.
type Span struct {
	First, Last  uint64
	Since, Until time.Time
}

var errAfterSpan = errors.New("after the span")

// Latest is the sequence of the newest request; 0 before the first.
func (l *Log) Latest(ctx context.Context) (sequence uint64, err error) {
	err = l.conn.Request(ctx, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, events.StreamRequests)
		if err == nil {
			sequence = s.CachedInfo().State.LastSeq
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("look at stream %s: %w", events.StreamRequests, err)
	}
	return sequence, nil
}

// Read calls each for every request of a span, in the stream's order, page by
// page. For a request that cannot be decoded, each gets the error and what is
// known of the message.
func (l *Log) Read(ctx context.Context, span Span, each func(Request, error) error) error {
	start := streams.FromSequence(max(1, span.First))
	if span.First == 0 && !span.Since.IsZero() {
		start = streams.FromTime(span.Since)
	}
	err := l.stored.Scan(ctx, events.StreamRequests, start, events.TypePipelineRequested, func(m streams.Message) error {
		switch {
		case span.Last > 0 && m.Sequence > span.Last, !span.Until.IsZero() && m.Time.After(span.Until):
			return errAfterSpan
		case m.Time.Before(span.Since):
			return nil
		}
		d, err := l.codec.Decode(m.Subject, m.Header, m.Data)
		return each(Request{
			Message:   codec.Message{Event: d.Event, ID: d.ID, Subject: m.Subject, Stream: m.Stream, Sequence: m.Sequence, Time: m.Time},
			Data:      d.Data,
			PlainJSON: d.PlainJSON,
		}, err)
	})
	if errors.Is(err, errAfterSpan) {
		return nil
	}
	return err
}

// Pending calls each for every request that intake has not decided yet, with
// the request's own JSON and the run id that it names, if any.
func (l *Log) Pending(ctx context.Context, each func(run string, data json.RawMessage) error) error {
	var span Span
	err := l.conn.Request(ctx, conn.ConsumerInfo, func(ctx context.Context, js jetstream.JetStream) error {
		c, err := js.Consumer(ctx, events.StreamRequests, topology.ConsumerIntake)
		if err == nil {
			span.First = c.CachedInfo().AckFloor.Stream + 1
		}
		return err
	})
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("look at consumer %s: %w", topology.ConsumerIntake, err)
	}
	return l.Read(ctx, span, func(r Request, _ error) error {
		req, _ := r.Event.(events.PipelineRequested)
		return each(req.RunID, r.Data)
	})
}
