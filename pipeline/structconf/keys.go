package structconf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// Key is a key of a section.
type Key struct {
	Section string `json:"section"`
	Name    string `json:"name"`
	// Type is "text", "whole number", "number", "true or false", "duration",
	// "list of texts", "table of numbers" or "table of values".
	Type    string `json:"type"`
	Default string `json:"default"`
	// Allowed is empty if all values of the type are allowed.
	Allowed []string `json:"allowed,omitempty"`
	Doc     string   `json:"doc"`
	// Env is an environment variable that may have the value; empty if there is
	// none.
	Env string `json:"env,omitempty"`
	// Secret is true if the value must never be shown.
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
	if isTable(t) {
		return "table of values"
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

// shape is the content of the tags of a struct of sections. It is read once for
// each type and does not change later.
type shape struct {
	sections []string
	keys     []Key
	names    map[string][]string // of the keys, by section
	byPath   map[string]Key      // by section.key
	defaults []reflect.Value     // of the keys; invalid if there is none
}

var shapes sync.Map // of *shape, by reflect.Type

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{names: map[string][]string{}, byPath: map[string]Key{}}
	for i := range t.NumField() {
		section := t.Field(i)
		s.sections = append(s.sections, name(section))
		for j := range section.Type.NumField() {
			f := section.Type.Field(j)
			if name(f) == "-" { // a program sets it, no person
				continue
			}
			f.Index = []int{i, j}
			k := Key{
				Section: name(section),
				Name:    name(f),
				Type:    typeName(f.Type),
				Default: f.Tag.Get("default"),
				Doc:     f.Tag.Get("doc"),
				Env:     f.Tag.Get("env"),
				Secret:  f.Tag.Get("secret") == "true",
				field:   f,
			}
			if a, ok := f.Tag.Lookup("allowed"); ok {
				k.Allowed = strings.Split(a, "|")
			}
			s.keys = append(s.keys, k)
			s.defaults = append(s.defaults, k.defaultValue())
			s.names[k.Section] = append(s.names[k.Section], k.Name)
			s.byPath[k.Section+"."+k.Name] = k
		}
	}
	shapes.Store(t, s)
	return s
}

// parseEntry splits the path of an entry of a table, section.key.entry.
func (s *shape) parseEntry(path string) (k Key, name string, ok bool) {
	parts := strings.SplitN(path, ".", 3)
	if len(parts) < 3 || parts[2] == "" {
		return Key{}, "", false
	}
	k, ok = s.byPath[parts[0]+"."+parts[1]]
	return k, parts[2], ok && (k.field.Type.Kind() == reflect.Map || isTable(k.field.Type))
}

// unknownKey returns the message for a key that a section does not have. It
// suggests the nearest key of the section, or else a key with the same name in
// another section.
func (s *shape) unknownKey(section, name string) string {
	name, _, _ = strings.Cut(name, ".") // without the name of a table entry
	if Nearest(name, s.names[section]) == "" {
		for _, other := range s.sections {
			if slices.Contains(s.names[other], name) {
				return fmt.Sprintf("unknown key; did you mean %q?", other+"."+name)
			}
		}
	}
	return unknown("key", name, s.names[section])
}

// defaultValue returns the default of a key as a value.
func (k Key) defaultValue() reflect.Value {
	if k.Default == "" {
		return reflect.Value{}
	}
	v := reflect.New(k.field.Type).Elem()
	if msg := set(v, k.Default); msg != "" {
		// A tag is wrong. Every test of the program finds this.
		panic(fmt.Sprintf("default of %s.%s: %s", k.Section, k.Name, msg))
	}
	return v
}

// SetDefaults sets each key of *sections to its default.
func SetDefaults(sections any) {
	v := reflect.ValueOf(sections).Elem()
	s := shapeOf(v.Type())
	for i, k := range s.keys {
		d := s.defaults[i]
		switch {
		case !d.IsValid():
		case d.Kind() == reflect.Slice: // copied, because the caller may change it
			v.FieldByIndex(k.field.Index).Set(reflect.AppendSlice(reflect.MakeSlice(d.Type(), 0, d.Len()), d))
		default:
			v.FieldByIndex(k.field.Index).Set(d)
		}
	}
}

// Keys returns the keys of a struct of sections, in the order of the struct.
func Keys(sections any) []Key { return slices.Clone(shapeOf(reflect.TypeOf(sections)).keys) }

// Sections returns the names of the sections of a struct.
func Sections(sections any) []string {
	return slices.Clone(shapeOf(reflect.TypeOf(sections)).sections)
}
