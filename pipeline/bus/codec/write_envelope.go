package codec

import (
	"encoding/json"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/tunebus/tunebus/events"
)

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
