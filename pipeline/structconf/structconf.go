// Package structconf decodes sections of keys into structs and finds all faults
// at once. What a key is called, what it defaults to, what is allowed and
// what it means stands in the struct's tags, once: the decoder, the written
// reference and the checks read the same.
//
//	json:"rank"             the key's name
//	default:"16"            its default, as text
//	allowed:"a|b"           the values it may have; an empty one is no value
//	doc:"what it means"     one line for the reference
//	env:"HF_TOKEN"          a variable that may hold the value
//	secret:"true"           the value is never shown
package structconf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Fault is one thing that is wrong, and where.
type Fault struct {
	// File, Line and Column say where; Line and Column count from 1 and are 0
	// where there is no file.
	File         string `json:"file,omitempty"`
	Line, Column int    `json:",omitzero"`
	// Key is section.key.
	Key string `json:"key"`
	// Value is what was given, as text; empty for a secret.
	Value string `json:"value,omitempty"`
	// Allowed says what may stand there.
	Allowed string `json:"allowed,omitempty"`
	Message string `json:"message"`
}

func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		fmt.Fprintf(&b, "%s:", f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
		}
		b.WriteByte(' ')
	}
	b.WriteString(f.Key)
	if f.Value != "" {
		fmt.Fprintf(&b, " = %s", f.Value)
	}
	fmt.Fprintf(&b, ": %s", f.Message)
	if f.Allowed != "" {
		fmt.Fprintf(&b, " (allowed: %s)", f.Allowed)
	}
	return b.String()
}

// Faults is all that is wrong, as one error.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Key is one key of a section.
type Key struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	// Type is what is written there: "text", "whole number", "number", "true
	// or false", "duration", "list of texts" or "table of numbers".
	Type    string `json:"type"`
	Default string `json:"default"`
	// Allowed is empty where everything of the type is allowed.
	Allowed []string `json:"allowed,omitempty"`
	Doc     string   `json:"doc"`
	// Env is a variable that whoever reads the environment takes the value
	// from; empty: none.
	Env string `json:"env,omitempty"`
	// Secret says that the value is never shown.
	Secret bool `json:"secret,omitempty"`

	field reflect.StructField
}

func name(f reflect.StructField) string {
	n, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return n
}

func typeName(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "duration"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "whole number"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list of texts"
	case reflect.Map:
		return "table of numbers"
	default:
		return "text"
	}
}

// Nearest is the candidate that is spelled most like word, or "" if none is
// close.
func Nearest(word string, candidates []string) string {
	best, at := 1+len(word)/3, ""
	for _, c := range candidates {
		if d := distance(word, c); d <= best && (at == "" || d < best) {
			best, at = d, c
		}
	}
	return at
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func unknown(kind, word string, known []string) string {
	msg := "unknown " + kind
	if n := Nearest(word, known); n != "" {
		return fmt.Sprintf("%s; did you mean %q?", msg, n)
	}
	known = slices.Clone(known)
	if len(known) <= 8 {
		msg += "; known are " + strings.Join(known, ", ")
	}
	return msg
}

// Value is one key with what a struct says about it.
type Value struct {
	Section, Name string
	// Text is the value as people write it; [Null] where there is none, "set"
	// in place of a secret.
	Text string
}

// Secrets are the secrets that a struct of sections holds, by section.key.
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

// Values lists every key of a struct of sections with its value.
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
