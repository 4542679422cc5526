package bus

import (
	"bytes"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// own is an envelope of this program's that was taken apart, its data not yet
// decoded.
type own struct {
	id, typ, schema string
	data            []byte
}

// readOwn takes an envelope apart that is written exactly as [Bus.encode]
// writes it, and leaves all others to the reference implementation. That the
// data goes on to the end of the envelope shows when it is decoded.
func readOwn(body []byte) (own, bool) {
	var e own
	rest, ok := bytes.CutPrefix(body, []byte(`{"specversion":"1.0",`))
	text := func(before string) (value string) {
		if ok {
			value, rest, ok = plain(rest, before)
		}
		return value
	}
	e.id = text(`"id":"`)
	source := text(`,"source":"`)
	e.typ = text(`,"type":"`)
	text(`,"subject":"`)
	contentType := text(`,"datacontenttype":"`)
	e.schema = text(`,"dataschema":"`)
	at := text(`,"time":"`)
	// A source is an address in which something may be escaped, too.
	if !ok || e.id == "" || e.schema == "" || contentType != event.ApplicationJSON || !strings.HasPrefix(source, sourcePrefix) || strings.Contains(source, "%") {
		return own{}, false
	}
	if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
		return own{}, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"data":`)); !ok {
		return own{}, false
	}
	e.data, ok = bytes.CutSuffix(rest, []byte{'}'})
	return e, ok
}

// plain reads a text that follows on before and in which nothing is escaped.
func plain(b []byte, before string) (value string, rest []byte, ok bool) {
	if len(b) < len(before) || string(b[:len(before)]) != before {
		return "", nil, false
	}
	b = b[len(before):]
	for i, c := range b {
		switch {
		case c == '"':
			return string(b[:i]), b[i+1:], true
		case c == '\\' || c < ' ' || c > '~':
			return "", nil, false
		}
	}
	return "", nil, false
}
