package structconf

import (
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
	var out []Value
	for _, k := range shapeOf(v.Type()).keys {
		text := fmt.Sprint(v.FieldByIndex(k.field.Index).Interface())
		switch f := v.FieldByIndex(k.field.Index); f.Kind() {
		case reflect.Slice:
			parts := make([]string, f.Len())
			for i := range parts {
				parts[i] = f.Index(i).String()
			}
			text = strings.Join(parts, ", ")
		case reflect.Map:
			if f.Len() == 0 {
				text = ""
			}
		}
		switch {
		case text == "":
			text = Null
		case k.Secret:
			text = "set"
		}
		out = append(out, Value{Section: k.Section, Name: k.Name, Text: text})
	}
	return out
}
