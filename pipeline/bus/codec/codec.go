package codec

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
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

// Decoded is the content of a message.
type Decoded struct {
	Event events.Event
	// ID is the event's id. It is the message's id if there is no event.
	ID string
	// Data is the event's own JSON: the data of a CloudEvent, or the body.
	Data []byte
	// PlainJSON reports whether the message is not a CloudEvent but a request's
	// data alone.
	PlainJSON bool
}

// Decode reads a message that was stored on a subject. Of a message that
// cannot be decoded it returns the id and the data beside the error.
func (c *Codec) Decode(subject string, h nats.Header, body []byte) (Decoded, error) {
	typ := typeOf(subject)
	d := Decoded{ID: h.Get(nats.MsgIdHdr), Data: body}
	if e, ok := currentEnvelope(typ, h, body); ok {
		if ev, err := c.events.Decode(typ, "", e.data); err == nil {
			return Decoded{Event: ev, ID: e.id, Data: e.data}, nil
		}
	} // every other envelope, and data that does not decode, goes to the SDK
	var err error
	if isCloudEvent(h, body) {
		e := event.New()
		if err := json.Unmarshal(body, &e); err != nil {
			return d, &events.MalformedError{Type: typ, Err: err}
		}
		d.ID, d.Data = e.ID(), e.Data()
		if e.Type() != typ {
			return d, &events.MalformedError{Type: typ, Err: fmt.Errorf("the event says it is a %q", e.Type())}
		}
		d.Event, err = c.events.Decode(typ, e.DataSchema(), d.Data)
		return d, err
	}
	if subject != events.TypePipelineRequested {
		return d, &events.MalformedError{Type: typ, Err: fmt.Errorf("not a structured CloudEvent")}
	}
	d.PlainJSON = true
	d.Event, err = c.events.Decode(subject, "", body)
	return d, err
}

// Peek returns the id and the data of a message without decoding the event.
// ok is false unless the envelope is one of tunebus's own around the current
// version of the event that the subject promises.
func Peek(subject string, h nats.Header, body []byte) (d Decoded, ok bool) {
	e, ok := currentEnvelope(typeOf(subject), h, body)
	return Decoded{ID: e.id, Data: e.data}, ok
}

// currentEnvelope parses a message whose envelope is one of tunebus's own
// around the current version of an event of type typ.
func currentEnvelope(typ string, h nats.Header, body []byte) (fastEnvelope, bool) {
	if v := h[headerContent]; len(v) == 0 || v[0] != structured {
		return fastEnvelope{}, false
	}
	e, ok := parseFastEnvelope(body)
	return e, ok && string(e.typ) == typ && string(e.schema) == events.Schema(typ)
}

// StructuredHeader is the header of a message whose body is a CloudEvent in
// structured mode.
func StructuredHeader() nats.Header { return nats.Header{headerContent: {structured}} }

// isCloudEvent looks at the content type first, and then for the attribute that
// every CloudEvent has.
func isCloudEvent(h nats.Header, body []byte) bool {
	if v := h[headerContent]; len(v) > 0 {
		return strings.HasPrefix(v[0], "application/cloudevents")
	}
	var probe struct {
		SpecVersion string `json:"specversion"`
	}
	return json.Unmarshal(body, &probe) == nil && probe.SpecVersion != ""
}

// typeOf is the event type of a subject: its first two tokens.
func typeOf(subject string) string {
	stage, rest, _ := strings.Cut(subject, ".")
	name, _, _ := strings.Cut(rest, ".")
	return stage + "." + name
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // documented to never fail
	return hex.EncodeToString(b)
}
