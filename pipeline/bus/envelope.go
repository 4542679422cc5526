package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tunebus/tunebus/events"
)

const (
	headerMsgID   = "Nats-Msg-Id"
	headerContent = "Content-Type"
	headerTrace   = "traceparent"
	structured    = "application/cloudevents+json"
	sourcePrefix  = "tunebus/" // a source is this and the name of the connection
)

// messageID is the id under which an event is stored. It is the same for
// everybody who derives the same event, and differs between two who race for
// one subject with different claims.
func messageID(ev events.Event) string {
	switch e := ev.(type) {
	case events.PipelineAccepted:
		return e.Subject() + "/" + strconv.FormatUint(e.Lineage.RequestSequence, 10)
	case events.PhaseCompleted:
		return e.Subject() + "/" + strconv.Itoa(e.Attempt)
	case events.PhaseStarted, events.CancelRequested, events.PipelineRequested, events.Progress, events.Telemetry:
		return e.Subject() + "/" + nonce(8)
	default:
		return e.Subject()
	}
}

// envelope is a structured CloudEvent as it is written. The members stand in
// the order in which the reference implementation writes them.
type envelope struct {
	SpecVersion     string       `json:"specversion"`
	ID              string       `json:"id"`
	Source          string       `json:"source"`
	Type            string       `json:"type"`
	Subject         string       `json:"subject"`
	DataContentType string       `json:"datacontenttype"`
	DataSchema      string       `json:"dataschema"`
	Time            time.Time    `json:"time"`
	Data            events.Event `json:"data"`
}

// encode wraps an event as a structured CloudEvent.
func (b *Bus) encode(ctx context.Context, ev events.Event, id string) (*nats.Msg, error) {
	typ, subject := ev.Type(), ev.Subject()
	body, err := json.Marshal(envelope{
		SpecVersion: event.CloudEventsVersionV1, ID: id, Source: sourcePrefix + b.name, Type: typ, Subject: subject,
		DataContentType: event.ApplicationJSON, DataSchema: events.Schema(typ), Time: time.Now().UTC(), Data: ev,
	})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", subject, err)
	}
	return &nats.Msg{Subject: subject, Data: body, Header: nats.Header{
		headerMsgID:   []string{id},
		headerContent: []string{structured},
		headerTrace:   []string{traceparent(ctx, ev)},
	}}, nil
}

// traceparent carries the span of ctx on; without one, all events of a run
// share a trace id that is made from the run's id.
func traceparent(ctx context.Context, ev events.Event) string {
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	if tp := c[headerTrace]; tp != "" {
		return tp
	}
	seed := ev.Subject()
	if f, ok := ev.(events.Fact); ok {
		seed = f.Run()
	}
	id := sha256.Sum256([]byte(seed))
	return fmt.Sprintf("00-%s-%s-01", hex.EncodeToString(id[:16]), nonce(8))
}

// withTrace puts a message's trace into ctx.
func withTrace(ctx context.Context, h nats.Header) context.Context {
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

// Message is one stored message.
type Message struct {
	// Event is what it says; nil where it cannot be read.
	Event events.Event
	// Unreadable is why a fact cannot be read: it is malformed, or of a version
	// that this program does not know.
	Unreadable error
	// ID is the event's id.
	ID      string
	Subject string
	Stream  string
	// Sequence is the message's place in its stream, from 1.
	Sequence uint64
	// Time is when the stream stored it.
	Time time.Time
}

// decoded is what a message says.
type decoded struct {
	event events.Event
	// id is the event's id; that of the message where there is no event.
	id string
	// data is the event's own JSON: the data of a CloudEvent, or the body.
	data []byte
	// bare says that the message is no CloudEvent.
	bare bool
}

// decode reads a stored message. A body that is no CloudEvent counts as the
// bare data of a request, and only of a request.
func (b *Bus) decode(subject string, h nats.Header, body []byte) (decoded, error) {
	return decode(&b.decoder, subject, h, body)
}

func decode(decoder *events.Decoder, subject string, h nats.Header, body []byte) (decoded, error) {
	typ := typeOf(subject)
	d := decoded{id: h.Get(headerMsgID), data: body}
	if e, ok := familiar(typ, h, body); ok {
		if ev, err := decoder.Decode(typ, "", e.data); err == nil {
			return decoded{event: ev, id: e.id, data: e.data}, nil
		}
	} // whatever is not just as this program writes it is the reference implementation's to read
	var err error
	if isCloudEvent(h, body) {
		e := event.New()
		if err := json.Unmarshal(body, &e); err != nil {
			return d, &events.MalformedError{Type: typ, Err: err}
		}
		d.id, d.data = e.ID(), e.Data()
		if e.Type() != typ {
			return d, &events.MalformedError{Type: typ, Err: fmt.Errorf("the event says it is a %q", e.Type())}
		}
		d.event, err = decoder.Decode(typ, e.DataSchema(), d.data)
		return d, err
	}
	if subject != events.TypePipelineRequested {
		return d, &events.MalformedError{Type: typ, Err: fmt.Errorf("not a structured CloudEvent")}
	}
	d.bare = true
	d.event, err = decoder.Decode(subject, "", body)
	return d, err
}

// familiar takes apart a message whose envelope is as this program writes it
// around the current version of an event of type typ.
func familiar(typ string, h nats.Header, body []byte) (own, bool) {
	if v := h[headerContent]; len(v) == 0 || v[0] != structured {
		return own{}, false
	}
	e, ok := readOwn(body)
	return e, ok && string(e.typ) == typ && string(e.schema) == events.Schema(typ)
}

// Undecodable reports whether an error says that a stored message cannot be
// read here: it is malformed, or of a version that nobody knows yet.
func Undecodable(err error) bool {
	var malformed *events.MalformedError
	var unknown *events.UnknownVersionError
	return errors.As(err, &malformed) || errors.As(err, &unknown)
}

// isCloudEvent looks at the header first, and then for the one attribute that
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

// typeOf is the wire name that a subject stands for: its first two tokens.
func typeOf(subject string) string {
	stage, rest, _ := strings.Cut(subject, ".")
	name, _, _ := strings.Cut(rest, ".")
	return stage + "." + name
}
