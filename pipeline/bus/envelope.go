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

// encode wraps an event as a structured CloudEvent.
func (b *Bus) encode(ctx context.Context, ev events.Event, id string) (*nats.Msg, error) {
	e := event.New(event.CloudEventsVersionV1)
	e.SetID(id)
	e.SetSource("tunebus/" + b.name)
	e.SetType(ev.Type())
	e.SetSubject(ev.Subject())
	e.SetTime(time.Now().UTC())
	e.SetDataSchema(events.Schema(ev.Type()))
	if err := e.SetData(event.ApplicationJSON, ev); err != nil {
		return nil, fmt.Errorf("encode %s: %w", ev.Subject(), err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", ev.Subject(), err)
	}
	msg := nats.NewMsg(ev.Subject())
	msg.Data = body
	msg.Header[headerMsgID] = []string{id}
	msg.Header[headerContent] = []string{structured}
	msg.Header[headerTrace] = []string{traceparent(ctx, ev)}
	return msg, nil
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
	// Event is what it says.
	Event events.Event
	// ID is the event's id.
	ID      string
	Subject string
	Stream  string
	// Sequence is the message's place in its stream, from 1.
	Sequence uint64
	// Time is when the stream stored it.
	Time time.Time
}

// decode reads a stored message. A body that is no CloudEvent counts as the
// bare data of a request, and only of a request.
func decode(subject string, h nats.Header, body []byte) (events.Event, string, error) {
	id := h.Get(headerMsgID)
	if isCloudEvent(h, body) {
		e := event.New()
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, id, &events.MalformedError{Type: typeOf(subject), Err: err}
		}
		if e.Type() != typeOf(subject) {
			return nil, e.ID(), &events.MalformedError{Type: typeOf(subject), Err: fmt.Errorf("the event says it is a %q", e.Type())}
		}
		ev, err := events.Decode(e.Type(), e.DataSchema(), e.Data())
		return ev, e.ID(), err
	}
	if subject != events.TypePipelineRequested {
		return nil, id, &events.MalformedError{Type: typeOf(subject), Err: fmt.Errorf("not a structured CloudEvent")}
	}
	ev, err := events.Decode(subject, "", body)
	return ev, id, err
}

// undecodable reports whether decode gave the error.
func undecodable(err error) bool {
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

// eventData is the event's own JSON: the data of a CloudEvent, or the body.
func eventData(h nats.Header, body []byte) []byte {
	if !isCloudEvent(h, body) {
		return body
	}
	var e struct {
		Data json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &e) != nil {
		return body
	}
	return e.Data
}
