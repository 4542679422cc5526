package config

import (
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
			s.names[k.Section] = append(s.names[k.Section], k.Name)
			s.at[k.Section+"."+k.Name] = k
		}
	}
	shapes.Store(t, s)
	return s
}

// Keys lists the keys of a struct of sections, in the struct's order.
func Keys(sections any) []Key { return slices.Clone(shapeOf(reflect.TypeOf(sections)).keys) }

// Sections lists the names of the sections of a struct.
func Sections(sections any) []string {
	return slices.Clone(shapeOf(reflect.TypeOf(sections)).sections)
}
