package contract

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
)

// object is a JSON object. encoding/json sorts its keys.
type object = map[string]any

// Schemas returns the JSON Schemas (draft 2020-12) of all events, by file name. dir
// is the folder with the source of package events, whose comments become the
// descriptions.
func Schemas(dir string) (map[string][]byte, error) {
	words, err := comments(dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, typ := range events.Types() {
		ev := events.New(typ)
		if ev == nil {
			return nil, fmt.Errorf("no event of type %s", typ)
		}
		d := describer{words: words, defs: object{}}
		root := d.structure(reflect.TypeOf(ev))
		root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		root["$id"] = events.Schema(typ)
		root["title"] = typ
		root["$defs"] = d.defs
		if phase, _, ok := strings.Cut(typ, "."); ok && events.Phase(phase).Valid() {
			root["properties"].(object)["phase"] = object{"const": phase}
		}
		body, err := json.MarshalIndent(root, "", "  ")
		if err != nil {
			return nil, err
		}
		out[FileName(typ)] = append(body, '\n')
	}
	return out, nil
}

// FileName returns the file name of the schema of a type: the last part of its
// dataschema.
func FileName(typ string) string {
	url := events.Schema(typ)
	return url[strings.LastIndexByte(url, '/')+1:]
}

// describer builds the schema of an event.
type describer struct {
	words map[string]string
	defs  object
}

// structure returns the schema of a struct.
func (d describer) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		properties[name] = d.field(t, f)
		// All keys of a specification have defaults, so none is required.
		if options == "" && f.Tag.Get("doc") == "" && !isSection(f.Type) {
			required = append(required, name)
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	if text := d.words[t.Name()]; text != "" {
		out["description"] = text
	}
	return out
}

// isSection reports whether a type is a section of a specification.
func isSection(t reflect.Type) bool {
	spec := reflect.TypeFor[events.Specification]()
	for i := range spec.NumField() {
		if spec.Field(i).Type == t {
			return true
		}
	}
	return false
}

// field returns the schema of a field with its comment and its tags.
func (d describer) field(owner reflect.Type, f reflect.StructField) object {
	s := d.value(f.Type)
	if owner == reflect.TypeFor[events.PipelineRequested]() && f.Type == reflect.TypeFor[json.RawMessage]() {
		s = d.value(reflect.TypeFor[events.Specification]())
	}
	if text := d.words[owner.Name()+"."+f.Name]; text != "" {
		s["description"] = text
	}
	if doc := f.Tag.Get("doc"); doc != "" {
		s["description"] = doc
	}
	if allowed, ok := f.Tag.Lookup("allowed"); ok {
		s["enum"] = strings.Split(allowed, "|")
	}
	if value, ok := f.Tag.Lookup("default"); ok {
		s["default"] = defaultOf(f.Type, value)
	}
	return s
}

func defaultOf(t reflect.Type, text string) any {
	switch t.Kind() {
	case reflect.Slice:
		if text == "" {
			return []string{}
		}
		return strings.Split(text, ",")
	case reflect.Bool:
		return text == "true"
	case reflect.Int, reflect.Float64:
		return json.Number(text)
	default:
		if on, err := strconv.ParseBool(text); err == nil && t == reflect.TypeFor[events.Switch]() {
			return on
		}
		return text
	}
}

// value returns the schema of a type.
func (d describer) value(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	case reflect.TypeFor[events.Modules]():
		return object{"type": []string{"array", "string", "null"}, "items": object{"type": "string"}}
	case reflect.TypeFor[events.Switch]():
		return object{"type": []string{"boolean", "string"}}
	case reflect.TypeFor[events.Arguments]():
		return object{"type": "object"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.value(t.Elem())
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": []string{"array", "null"}, "items": d.value(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.value(t.Elem())}
	case reflect.Struct:
		if _, ok := d.defs[t.Name()]; !ok {
			d.defs[t.Name()] = object{} // ends the recursion of a struct that contains itself
			d.defs[t.Name()] = d.structure(t)
		}
		return object{"$ref": "#/$defs/" + t.Name()}
	default:
		s := object{"type": "string"}
		if choices := choices(t); choices != nil {
			s["enum"] = choices
		}
		return s
	}
}

// choices returns the values of the named text types of the contract, or nil if all
// texts are allowed.
func choices(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[events.Phase]():
		var out []string
		for _, p := range events.Phases() {
			out = append(out, string(p))
		}
		return out
	case reflect.TypeFor[events.Conclusion]():
		return []string{string(events.Success), string(events.Failure), string(events.Cancelled)}
	case reflect.TypeFor[events.OnFailure]():
		return []string{"", string(events.Stop), string(events.Continue)}
	case reflect.TypeFor[events.Product]():
		var out []string
		for _, p := range events.Products() {
			out = append(out, string(p))
		}
		return out
	case reflect.TypeFor[events.PushOutcome]():
		return []string{string(events.Pushed), string(events.PushSkipped), string(events.PushFailed)}
	case reflect.TypeFor[events.EndReason]():
		return []string{string(events.EndError), string(events.EndShutdown), string(events.EndLost)}
	default:
		return nil
	}
}
