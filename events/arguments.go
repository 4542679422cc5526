package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
)

// Arguments is a table of named values of any kind: texts, numbers, true and
// false, lists, and tables of them. It holds them as one JSON object with sorted
// keys, so that two tables with the same values are equal, copies are independent,
// and the JSON is always the same. The empty text is a table without entries.
type Arguments string

// maxArgumentDepth is the largest depth of lists and tables in [Arguments]. It is
// far above what a chat template reads.
const maxArgumentDepth = 16

// Entries returns a copy of the values: string, bool, int64 for numbers that are
// written without a point or an exponent, float64 for other ones, []any and
// map[string]any.
func (a Arguments) Entries() map[string]any {
	object, err := decodeObject([]byte(a))
	if err != nil || a == "" {
		return map[string]any{}
	}
	for name, v := range object {
		object[name] = plainNumbers(v)
	}
	return object
}

// UnmarshalJSON reads an object, a text with an object, or null. An entry without
// a value is left out.
func (a *Arguments) UnmarshalJSON(b []byte) error {
	const want = "want a table of values, such as {enable_thinking = false}"
	var text string
	if json.Unmarshal(b, &text) == nil {
		b = []byte(text)
	}
	if b = bytes.TrimSpace(b); len(b) == 0 || string(b) == "null" {
		*a = ""
		return nil
	}
	object, err := decodeObject(b)
	if err != nil {
		return errors.New(want)
	}
	maps.DeleteFunc(object, func(_ string, v any) bool { return v == nil })
	for name, v := range object {
		if err := checkArgument(v, 1); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(object) == 0 {
		*a = ""
		return nil
	}
	body, err := json.Marshal(object)
	*a = Arguments(body)
	return err
}

// MarshalJSON writes an object.
func (a Arguments) MarshalJSON() ([]byte, error) {
	if a == "" {
		return []byte("{}"), nil
	}
	return []byte(a), nil
}

// decodeObject decodes one JSON object. Numbers remain as they are written.
func decodeObject(b []byte) (map[string]any, error) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one object")
	}
	return object, nil
}

// checkArgument returns what is wrong with a decoded value. depth counts the
// tables and lists around it.
func checkArgument(v any, depth int) error {
	if depth > maxArgumentDepth {
		return fmt.Errorf("more than %d lists and tables within each other", maxArgumentDepth)
	}
	switch v := v.(type) {
	case nil:
		return errors.New("a list or a table in it holds null")
	case json.Number:
		if _, err := v.Float64(); err != nil {
			return fmt.Errorf("the number %s is too large", Cut(v.String(), MaxNameBytes))
		}
	case []any:
		for _, e := range v {
			if err := checkArgument(e, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, e := range v {
			if err := checkArgument(e, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// plainNumbers returns a value with its numbers as Go has them.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return n
		}
		f, _ := v.Float64() // it was checked when the table was made
		return f
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
	case map[string]any:
		for name, e := range v {
			v[name] = plainNumbers(e)
		}
	}
	return v
}
