package codec

import (
	"bytes"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

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
