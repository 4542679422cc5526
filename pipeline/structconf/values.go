package structconf

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Null is the text for no value.
const Null = "null"

// Value is a key with its value in a struct.
type Value struct {
	Section, Name string
	// Text is the value as a file has it. It is [Null] for no value and "set" for
	// a secret.
	Text string
}

// Secrets returns the secrets in a struct of sections, by section.key.
func Secrets(sections any) map[string]string {
	v := reflect.ValueOf(sections)
	out := map[string]string{}
	for _, k := range shapeOf(v.Type()).keys {
		if text := v.FieldByIndex(k.field.Index).String(); k.Secret && text != "" {
			out[k.Section+"."+k.Name] = text
		}
	}
	return out
}

// Values returns the keys of a struct of sections with their values.
func Values(sections any) []Value {
	v := reflect.ValueOf(sections)
	keys := shapeOf(v.Type()).keys
	out := make([]Value, len(keys))
	for i, k := range keys {
		out[i] = k.value(v.FieldByIndex(k.field.Index))
	}
	return out
}

// Changed returns the keys of a struct of sections that have a value other than the
// default, with their values. A key without a value is none of them.
func Changed(sections any) []Value {
	v := reflect.ValueOf(sections)
	s := shapeOf(v.Type())
	var out []Value
	for i, k := range s.keys {
		f, d := v.FieldByIndex(k.field.Index), s.defaults[i]
		if !d.IsValid() {
			d = reflect.Zero(f.Type())
		}
		// Most keys have their default, and a comparison costs less than two texts.
		if f.Comparable() && d.Type() == f.Type() && f.Equal(d) {
			continue
		}
		if value := k.value(f); value.Text != Null && value != k.value(d) {
			out = append(out, value)
		}
	}
	return out
}

// value returns a key with the value that its field has.
func (k Key) value(f reflect.Value) Value {
	text := fmt.Sprint(f.Interface())
	switch f.Kind() {
	case reflect.Slice:
		parts := make([]string, f.Len())
		for i := range parts {
			parts[i] = f.Index(i).String()
		}
		text = strings.Join(parts, ", ")
	case reflect.Map:
		if text = ""; f.Len() > 0 {
			text = asJSON(f)
		}
	}
	switch {
	case text == "":
		text = Null
	case k.Secret:
		text = "set"
	}
	return Value{Section: k.Section, Name: k.Name, Text: text}
}

// asJSON is a table as JSON has it. What JSON cannot write, such as NaN, stands as Go has it.
func asJSON(f reflect.Value) string {
	body, err := json.Marshal(f.Interface())
	if err != nil {
		return fmt.Sprint(f.Interface())
	}
	return string(body)
}
