package structconf

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Write writes a struct of sections as a file. Reading the file gives the same
// struct, except for secrets and empty tables, which are omitted. A key that has no
// value, as by default, stands in a comment.
func Write(w io.Writer, sections any) error {
	var b strings.Builder
	v := reflect.ValueOf(sections)
	section := ""
	for _, k := range Keys(sections) {
		value := v.FieldByIndex(k.field.Index)
		if k.Secret || value.Kind() == reflect.Map && value.Len() == 0 || isTable(value.Type()) && len(entries(value)) == 0 {
			continue
		}
		if k.Section != section {
			section = k.Section
			fmt.Fprintf(&b, "\n[%s]\n", section)
		}
		var line bytes.Buffer
		enc := toml.NewEncoder(&line).SetTablesInline(true)
		if err := enc.Encode(map[string]any{k.Name: tomlValue(value)}); err != nil {
			return fmt.Errorf("write %s.%s: %w", k.Section, k.Name, err)
		}
		if text, unset := unset(k, value); unset {
			fmt.Fprintf(&b, "# %s = %s\n", k.Name, text)
			continue
		}
		b.WriteString(Escape(line.String()))
	}
	_, err := io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

// unset reports whether a key has no value, and has none by default: an empty text or
// list, or a 0 that stands for something else. text is what a comment says of it.
func unset(k Key, value reflect.Value) (text string, unset bool) {
	_, zero, automatic := strings.Cut(k.Doc, "; 0: ")
	switch {
	case value.Kind() == reflect.String && value.String() == "" && k.Default == "":
		return `""`, true
	case value.Kind() == reflect.Slice && value.Len() == 0 && k.Default == "":
		return "[]", true
	case automatic && value.IsZero() && k.Default == "0":
		return "0 # " + zero, true
	}
	return "", false
}

// tomlValue returns a value for the encoder.
func tomlValue(v reflect.Value) any {
	if isTable(v.Type()) {
		return entries(v)
	}
	switch v.Kind() {
	case reflect.String:
		switch s := v.String(); {
		case s == "":
			return Null
		case v.Type() != reflect.TypeFor[string]() && (s == "true" || s == "false"):
			return s == "true" // a key that may be a boolean or a name
		default:
			return s
		}
	case reflect.Slice:
		out := make([]string, v.Len())
		for i := range out {
			out[i] = v.Index(i).String()
		}
		return out
	}
	return v.Interface()
}
