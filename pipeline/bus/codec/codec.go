package codec

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

const (
	headerContent = "Content-Type"
	headerTrace   = "traceparent"
	structured    = "application/cloudevents+json"
	sourcePrefix  = "tunebus/" // the name of the client follows
)

// Codec writes and reads events. It is safe for concurrent use.
type Codec struct {
	source string
	events events.Codec
}

// New returns a codec whose events name client as their source.
func New(client string) *Codec {
	return &Codec{source: sourcePrefix + events.Cut(client, events.MaxNameBytes), events: events.Codec{Defaults: spec.Defaults()}}
}

// MessageID is the id under which an event is stored. Two services that derive
// the same event give it the same id; two that claim one subject for
// themselves give it different ids.
func MessageID(ev events.Event) string {
	switch e := ev.(type) {
	case events.PipelineAccepted:
		return e.Subject() + "/" + strconv.FormatUint(e.Lineage.RequestSequence, 10)
	case events.PhaseCompleted:
		return e.Subject() + "/" + strconv.Itoa(e.Attempt)
	case events.TrackingCompleted:
		if e.Deleted { // the server may still know the id of the one that it replaces
			return e.Subject() + "/deleted"
		}
		return e.Subject()
	case events.PhaseStarted, events.CancelRequested, events.PipelineRequested, events.Progress, events.Telemetry, events.Log:
		return e.Subject() + "/" + randomHex(8)
	default:
		return e.Subject()
	}
}

// envelope is a structured CloudEvent as it is written.
type envelope struct {
	id, source, typ, subject string
	time                     time.Time
	data                     []byte // JSON
}

// encode returns the envelope as JSON. Its fields stand in the order in which the
// CloudEvents SDK writes them; parseFastEnvelope relies on that order.
func (e envelope) encode() []byte {
	const fields = 256 // the names of the fields and the texts that never change
	schema := events.Schema(e.typ)
	b := make([]byte, 0, fields+len(e.id)+len(e.source)+len(e.typ)+len(e.subject)+len(schema)+len(e.data))
	b = append(b, `{"specversion":"`+event.CloudEventsVersionV1+`","id":`...)
	b = appendText(b, e.id)
	b = append(b, `,"source":`...)
	b = appendText(b, e.source)
	b = append(b, `,"type":`...)
	b = appendText(b, e.typ)
	b = append(b, `,"subject":`...)
	b = appendText(b, e.subject)
	b = append(b, `,"datacontenttype":"`+event.ApplicationJSON+`","dataschema":`...)
	b = appendText(b, schema)
	b = append(b, `,"time":"`...)
	b = e.time.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","data":`...)
	b = append(b, e.data...)
	return append(b, '}')
}

// appendText appends a text as a JSON string, with the escapes of encoding/json.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&':
			quoted, _ := json.Marshal(text) // a string can always be encoded
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// fenceHeaders is the room for the headers that a publish with a fence adds.
const fenceHeaders = 512

// Encode returns the message that stores an event under an id. It applies
// [events.Bound], so that no publisher can exceed the bounds of texts and lists.
// The error is a [*TooLargeError] if the message would still be too large.
func (c *Codec) Encode(ctx context.Context, ev events.Event, id string) (*nats.Msg, error) {
	ev = events.Bound(ev)
	typ, subject := ev.Type(), ev.Subject()
	data, err := c.events.Encode(ev)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", subject, err)
	}
	body := envelope{id: id, source: c.source, typ: typ, subject: subject, time: time.Now().UTC(), data: data}.encode()
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
		nats.MsgIdHdr: []string{id},
		headerContent: []string{structured},
		headerTrace:   []string{traceparent(ctx, ev)},
	}}
	if size := msg.Size() + fenceHeaders; size > events.MaxEventBytes && !repeatsRun(ev) {
		return nil, &TooLargeError{Subject: subject, Size: size}
	}
	return msg, nil
}

// repeatsRun reports whether an event repeats what a run was accepted with. A run
// of an earlier version may be larger than runs are now, and has to end as well.
func repeatsRun(ev events.Event) bool {
	_, ok := ev.(events.PhaseRequested)
	return ok
}

// TooLargeError means that an event exceeds [events.MaxEventBytes] by parts that
// are never cut, such as a specification. Nothing was published.
type TooLargeError struct {
	Subject string
	Size    int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("encode %s: the event takes %s bytes, at most %s are allowed",
		events.Cut(e.Subject, events.MaxNameBytes), events.Count(e.Size), events.Count(events.MaxEventBytes))
}

// traceparent carries the span of ctx. Without a span, all events of a run
// share a trace id that is derived from the run's id.
func traceparent(ctx context.Context, ev events.Event) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		flags := sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom)
		return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + flags.String()
	}
	seed := ev.Subject()
	if f, ok := ev.(events.Fact); ok {
		seed = f.Run()
	}
	id := sha256.Sum256([]byte(seed))
	return fmt.Sprintf("00-%s-%s-01", hex.EncodeToString(id[:16]), randomHex(8))
}

// WithTrace returns a context with the trace of a message.
func WithTrace(ctx context.Context, h nats.Header) context.Context {
	v := h[headerTrace]
	if len(v) == 0 {
		return ctx
	}
	sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{headerTrace: v[0]}))
	if !sc.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// StructuredHeader is the header of a message whose body is a CloudEvent in
// structured mode.
func StructuredHeader() nats.Header { return nats.Header{headerContent: {structured}} }

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // documented to never fail
	return hex.EncodeToString(b)
}
