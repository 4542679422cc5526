package value

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

// FromJSON reads one JSON value (RFC 8259). The keys of objects keep their order.
// The error is a [*SyntaxError], or says that the text is not UTF-8.
func FromJSON(text []byte) (Value, error) {
	if !utf8.Valid(text) {
		return Value{}, errors.New("the JSON is not UTF-8")
	}
	var d JSONDecoder
	return d.value(text)
}

// AppendJSON appends the value as JSON without blanks. Keys keep their order,
// numbers their digits; a missing value is null, and bytes are in base64. Infinity
// is written as Python does, since JSON has no word for it.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case Missing:
		return append(b, "null"...)
	case Number:
		switch v.text {
		case "inf":
			return append(b, "Infinity"...)
		case "-inf":
			return append(b, "-Infinity"...)
		}
		return append(b, v.text...)
	case Bool:
		return append(b, v.text...)
	case Text:
		return appendString(b, v.text)
	case Bytes:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, []byte(v.text))
		return append(b, '"')
	}
	opening, closing := byte('['), byte(']')
	if v.kind == Object {
		opening, closing = '{', '}'
	}
	b = append(b, opening)
	for i, item := range v.nested.values {
		if i > 0 {
			b = append(b, ',')
		}
		if v.kind == Object {
			b = append(appendString(b, v.nested.names[i]), ':')
		}
		b = item.AppendJSON(b)
	}
	return append(b, closing)
}

// appendString escapes what RFC 8259, section 7, demands, and nothing else.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// Listed returns the list whose JSON a text is, as tables have it that know no lists.
// ok is false if the value is no text, or another one.
func (v Value) Listed() (list Value, ok bool) {
	if v.Kind() != Text {
		return v, false
	}
	s, err := v.Text()
	if err != nil {
		return v, false
	}
	list, ok = listed(s)
	return list, ok
}

func listed(text string) (list Value, ok bool) {
	trimmed := bytes.TrimSpace([]byte(text))
	if len(trimmed) == 0 || trimmed[0] != '[' || trimmed[len(trimmed)-1] != ']' {
		return Value{}, false
	}
	parsed, err := FromJSON(trimmed)
	return parsed, err == nil && parsed.Kind() == List
}

// LooksListed reports whether a text looks like a list: its JSON, or how Python shows
// a list of texts.
func LooksListed(text string) bool {
	_, ok := listed(text)
	return ok || strings.HasPrefix(text, "['") && strings.HasSuffix(text, "']")
}
