package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// whyNoJSON says in words for people why a text could not be read as JSON. The errors of
// encoding/json name the types of a program. Another error is said as it is.
func whyNoJSON(err error) string {
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return mismatched(mismatch)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		if strings.Contains(syntax.Error(), "unexpected end") {
			if syntax.Offset == 0 {
				return "it is empty, and has to be JSON"
			}
			return "its JSON ends too early"
		}
		return fmt.Sprintf("it is no JSON: what is wrong stands at byte %d", syntax.Offset)
	}
	if when, ok := errors.AsType[*time.ParseError](err); ok {
		return fmt.Sprintf("%s is no time such as %s", Cut(when.Value, MaxNameBytes), time.RFC3339)
	}
	return err.Error()
}

// mismatched says which part of a JSON text is not what it has to be.
func mismatched(e *json.UnmarshalTypeError) string {
	what, _, _ := strings.Cut(e.Value, " ")
	is := map[string]string{"string": "a text", "number": "a number", "bool": "true or false", "array": "a list", "object": "an object"}[what]
	if is == "" {
		is = Cut(e.Value, MaxNameBytes)
	}
	if number, isNumber := strings.CutPrefix(e.Value, "number "); isNumber {
		is = "the number " + Cut(number, MaxNameBytes)
	}
	part := "it"
	if e.Field != "" {
		part = Cut(e.Field, MaxNameBytes)
	}
	if want := wantedJSON(e.Type); want != "" {
		return fmt.Sprintf("%s is %s; want %s", part, is, want)
	}
	return fmt.Sprintf("%s is %s", part, is)
}

// wantedJSON is the JSON that is read into a type, in a word.
func wantedJSON(t reflect.Type) string {
	if t == nil {
		return ""
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return "an object"
	}
	return ""
}
