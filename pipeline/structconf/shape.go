package structconf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// shape is what the tags of a struct of sections say. It is read once for
// each type and never changed.
type shape struct {
	sections []string
	keys     []Key
	names    map[string][]string // of the keys, by section
	at       map[string]Key      // by section.key
	defaults []reflect.Value     // of the keys; invalid where there is none
}

var shapes sync.Map // of *shape, by reflect.Type

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{names: map[string][]string{}, at: map[string]Key{}}
	for i := range t.NumField() {
		section := t.Field(i)
		s.sections = append(s.sections, name(section))
		for j := range section.Type.NumField() {
			f := section.Type.Field(j)
			f.Index = []int{i, j}
			k := Key{Section: name(section), Name: name(f), Type: typeName(f.Type), Default: f.Tag.Get("default"), Doc: f.Tag.Get("doc"), Env: f.Tag.Get("env"), Secret: f.Tag.Get("secret") == "true", field: f}
			if a, ok := f.Tag.Lookup("allowed"); ok {
				k.Allowed = strings.Split(a, "|")
			}
			s.keys = append(s.keys, k)
			s.defaults = append(s.defaults, k.defaultValue())
			s.names[k.Section] = append(s.names[k.Section], k.Name)
			s.at[k.Section+"."+k.Name] = k
		}
	}
	shapes.Store(t, s)
	return s
}

// entry parts the path of an entry of a table, section.key.entry.
func (s *shape) entry(path string) (k Key, name string, ok bool) {
	parts := strings.SplitN(path, ".", 3)
	if len(parts) < 3 || parts[2] == "" {
		return Key{}, "", false
	}
	k, ok = s.at[parts[0]+"."+parts[1]]
	return k, parts[2], ok && k.field.Type.Kind() == reflect.Map
}

// unknownKey says that a section has no such key, and which one may be meant:
// the nearest of its own, or else one of that name in another section.
func (s *shape) unknownKey(section, name string) string {
	name, _, _ = strings.Cut(name, ".") // what it has entries of
	if Nearest(name, s.names[section]) == "" {
		for _, other := range s.sections {
			if slices.Contains(s.names[other], name) {
				return fmt.Sprintf("unknown key; did you mean %q?", other+"."+name)
			}
		}
	}
	return unknown("key", name, s.names[section])
}

// defaultValue is the key's default as a value.
func (k Key) defaultValue() reflect.Value {
	if k.Default == "" {
		return reflect.Value{}
	}
	v := reflect.New(k.field.Type).Elem()
	if msg := set(v, k.Default); msg != "" {
		panic(fmt.Sprintf("default of %s.%s: %s", k.Section, k.Name, msg)) // a tag is wrong: a fault of this program, found by any test
	}
	return v
}

// SetDefaults gives every key of *sections its default.
func SetDefaults(sections any) {
	v := reflect.ValueOf(sections).Elem()
	s := shapeOf(v.Type())
	for i, k := range s.keys {
		d := s.defaults[i]
		switch {
		case !d.IsValid():
		case d.Kind() == reflect.Slice: // a list of one's own
			v.FieldByIndex(k.field.Index).Set(reflect.AppendSlice(reflect.MakeSlice(d.Type(), 0, d.Len()), d))
		default:
			v.FieldByIndex(k.field.Index).Set(d)
		}
	}
}

// Keys lists the keys of a struct of sections, in the struct's order.
func Keys(sections any) []Key { return slices.Clone(shapeOf(reflect.TypeOf(sections)).keys) }

// Sections lists the names of the sections of a struct.
func Sections(sections any) []string {
	return slices.Clone(shapeOf(reflect.TypeOf(sections)).sections)
}
