package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
)

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

// DecodeFact reads a fact that was stored on a subject. Message.Unreadable
// tells why a fact cannot be decoded.
func (c *Codec) DecodeFact(subject string, h nats.Header, body []byte) Message {
	d, err := c.Decode(subject, h, body)
	m := Message{Event: d.Event, ID: d.ID, Subject: subject}
	f, ok := m.Event.(events.Fact)
	switch {
	case err != nil:
	case !ok:
		err = &events.MalformedError{Type: typeOf(subject), Err: fmt.Errorf("it is no fact")}
	case f.Subject() != subject:
		err = &events.MalformedError{Type: typeOf(subject), Err: fmt.Errorf("the event is the fact %s", f.Subject())}
	}
	if err != nil {
		m.Event, m.Unreadable = nil, err
	}
	return m
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

// fastEnvelope is an envelope that tunebus wrote, its data not yet decoded.
type fastEnvelope struct {
	id                string
	typ, schema, data []byte
}

// parseFastEnvelope parses an envelope that is written exactly as [Codec.Encode]
// writes it, and reports false for every other one. Data runs to the closing
// brace; if there is more, decoding it fails and the SDK reads the envelope.
func parseFastEnvelope(body []byte) (fastEnvelope, bool) {
	var e fastEnvelope
	rest, ok := bytes.CutPrefix(body, []byte(`{"specversion":"1.0",`))
	text := func(before string) (value []byte) {
		if ok {
			value, rest, ok = cutString(rest, before)
		}
		return value
	}
	id := text(`"id":"`)
	source := text(`,"source":"`)
	e.typ = text(`,"type":"`)
	text(`,"subject":"`)
	contentType := text(`,"datacontenttype":"`)
	e.schema = text(`,"dataschema":"`)
	at := text(`,"time":"`)
	// A source is a URI, which may hold escapes, too.
	if !ok || len(id) == 0 || string(contentType) != event.ApplicationJSON || !bytes.HasPrefix(source, []byte(sourcePrefix)) || bytes.IndexByte(source, '%') >= 0 {
		return fastEnvelope{}, false
	}
	if err := new(time.Time).UnmarshalText(at); err != nil {
		return fastEnvelope{}, false
	}
	e.id = string(id)
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"data":`)); !ok {
		return fastEnvelope{}, false
	}
	e.data, ok = bytes.CutSuffix(rest, []byte{'}'})
	return e, ok
}

// cutString cuts a string without escapes that follows the prefix before.
func cutString(b []byte, before string) (value, rest []byte, ok bool) {
	if len(b) < len(before) || string(b[:len(before)]) != before {
		return nil, nil, false
	}
	b = b[len(before):]
	for i, c := range b {
		switch {
		case c == '"':
			return b[:i], b[i+1:], true
		case c == '\\' || c < ' ' || c > '~':
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// IsUndecodable reports whether an error means that a stored message cannot be
// decoded here: it is malformed, or of a version that this program does not
// know.
func IsUndecodable(err error) bool {
	if _, ok := errors.AsType[*events.MalformedError](err); ok {
		return true
	}
	_, ok := errors.AsType[*events.UnknownVersionError](err)
	return ok
}
