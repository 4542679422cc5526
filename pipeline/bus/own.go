package bus

import (
	"bytes"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// own is an envelope of this program's that was taken apart, its data not yet
// decoded.
type own struct {
	id                string
	typ, schema, data []byte
}

// readOwn takes an envelope apart that is written exactly as [Bus.encode]
// writes it, and leaves all others to the reference implementation. That the
// data goes on to the end of the envelope shows when it is decoded.
func readOwn(body []byte) (own, bool) {
	var e own
	rest, ok := bytes.CutPrefix(body, []byte(`{"specversion":"1.0",`))
	text := func(before string) (value []byte) {
		if ok {
			value, rest, ok = plain(rest, before)
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
	// A source is an address in which something may be escaped, too.
	if !ok || len(id) == 0 || string(contentType) != event.ApplicationJSON || !bytes.HasPrefix(source, []byte(sourcePrefix)) || bytes.IndexByte(source, '%') >= 0 {
		return own{}, false
	}
	if err := new(time.Time).UnmarshalText(at); err != nil {
		return own{}, false
	}
	e.id = string(id)
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"data":`)); !ok {
		return own{}, false
	}
	e.data, ok = bytes.CutSuffix(rest, []byte{'}'})
	return e, ok
}

// plain reads a text that follows on before and in which nothing is escaped.
func plain(b []byte, before string) (value, rest []byte, ok bool) {
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
