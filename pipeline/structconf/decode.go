package structconf

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode sets the keys of *sections that the tree has. The other keys remain as
// they are. It returns all faults, sorted by position. What a person typed for a key that
// holds a text is a text in the tree from then on.
func Decode(sections any, t Tree) Faults {
	v := reflect.ValueOf(sections).Elem()
	shape := shapeOf(v.Type())
	var faults Faults
	for _, section := range slices.Sorted(maps.Keys(t.Sections)) {
		if !slices.Contains(shape.sections, section) {
			faults = append(faults, t.fault(section, "", "", unknown("section", section, shape.sections)))
			continue
		}
		table, ok := t.Sections[section].(map[string]any)
		if !ok {
			faults = append(faults, t.fault(section, "", "", "is a section, not a value"))
			continue
		}
		for _, n := range slices.Sorted(maps.Keys(table)) {
			if fault := decodeKey(v, shape, t, section, n, table[n]); fault != nil {
				faults = append(faults, *fault)
			}
		}
	}
	faults.Sort()
	return faults
}

// decodeKey sets one key, or one entry of a table.
func decodeKey(sections reflect.Value, shape *shape, t Tree, section, name string, value any) *Fault {
	path := section + "." + name
	if k, ok := shape.byPath[path]; ok {
		if typed, ok := t.typed[path]; ok && isText(k.field.Type) {
			value = typed
			t.Sections[section].(map[string]any)[name] = typed
		}
		msg := assign(sections.FieldByIndex(k.field.Index), k, value)
		if msg == "" {
			return nil
		}
		shown := text(value)
		if k.Secret {
			shown = ""
		}
		fault := t.fault(path, shown, strings.Join(quoted(k.Allowed), ", "), msg)
		return &fault
	}
	if k, entry, ok := shape.parseEntry(path); ok {
		msg := assignEntry(sections.FieldByIndex(k.field.Index), entry, value)
		if msg == "" {
			return nil
		}
		fault := t.fault(path, text(value), "", msg)
		return &fault
	}
	fault := t.fault(path, "", "", shape.unknownKey(section, name))
	return &fault
}

// isText reports whether a field holds a text as it is.
func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String && !reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
}

func quoted(allowed []string) []string {
	var out []string
	for _, a := range allowed {
		if a == "" {
			a = Null
		}
		out = append(out, strconv.Quote(a))
	}
	return out
}

// text returns a value for a fault, shortened.
func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	if len(b) > 80 {
		return string(b[:80]) + "…"
	}
	return string(b)
}
