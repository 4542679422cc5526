package value

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// FromJSON reads one JSON value. The keys of objects keep their order.
func FromJSON(text []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decode(d)
	if err != nil {
		return Value{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Value{}, errors.New("something follows the JSON value")
	}
	return v, nil
}

func decode(d *json.Decoder) (Value, error) {
	token, err := d.Token()
	if err != nil {
		return Value{}, err
	}
	switch t := token.(type) {
	case string:
		return OfText(t), nil
	case json.Number:
		return OfNumber(t.String()), nil
	case bool:
		return OfBool(t), nil
	case json.Delim:
		if t == '[' {
			var values []Value
			for d.More() {
				v, err := decode(d)
				if err != nil {
					return Value{}, err
				}
				values = append(values, v)
			}
			_, err := d.Token()
			return OfList(values), err
		}
		var fields []Field
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return Value{}, err
			}
			v, err := decode(d)
			if err != nil {
				return Value{}, err
			}
			fields = append(fields, Field{Name: key.(string), Value: v})
		}
		_, err := d.Token()
		return OfObject(fields), err
	}
	return Value{}, nil
}

// AppendJSON appends the value as JSON without blanks. Keys keep their order,
// numbers their digits; a missing value is null, and bytes are in base64.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.kind {
	case Missing:
		return append(b, "null"...)
	case Number, Bool:
		return append(b, v.text...)
	case Text:
		return appendString(b, v.text)
	case Bytes:
		encoded, _ := json.Marshal([]byte(v.text)) // bytes always have a JSON form
		return append(b, encoded...)
	}
	open, closing := byte('['), byte(']')
	if v.kind == Object {
		open, closing = '{', '}'
	}
	b = append(b, open)
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

// MarshalJSON implements json.Marshaler with [Value.AppendJSON].
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

func appendString(b []byte, s string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string always has a JSON form
		return append(b, `""`...)
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
