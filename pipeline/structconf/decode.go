package structconf

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Null is the text that means no value.
const Null = "null"

// Position is where a key stands in a file; lines and columns count from 1.
type Position struct {
	File         string
	Line, Column int
}

// Tree is a decoded file: sections, keys and values as TOML or JSON give
// them, and where the keys stand.
type Tree struct {
	Sections map[string]any
	At       map[string]Position
}

// Unknown takes the sections out of the tree that are not among the known
// ones, each as a fault.
func (t Tree) Unknown(known []string) Faults {
	var faults Faults
	for _, section := range slices.Sorted(maps.Keys(t.Sections)) {
		if !slices.Contains(known, section) {
			faults = append(faults, t.fault(section, "", "", unknown("section", section, known)))
			delete(t.Sections, section)
		}
	}
	return faults
}

// Place adds faults of values that were decoded to those that decoding found,
// says where their keys stand, and sorts all of them by place. A key that could
// not be decoded has no value, so what is said about it is left out.
func (t Tree) Place(decoding, values Faults) Faults {
	all := slices.Clone(decoding)
	for _, f := range values {
		if slices.ContainsFunc(decoding, func(d Fault) bool { return d.Key == f.Key }) {
			continue
		}
		key, _, _ := strings.Cut(f.Key, "[") // an element stands where its list does
		p := t.At[key]
		f.File, f.Line, f.Column = p.File, p.Line, p.Column
		all = append(all, f)
	}
	all.Sort()
	return all
}

// Sort orders faults by file, line and column; those that stand nowhere, such
// as a missing key, come last.
func (f Faults) Sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		if (a.File == "") != (b.File == "") {
			return cmp.Compare(b.File, a.File)
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

func (t Tree) fault(key, value, allowed, message string) Fault {
	p := t.At[key]
	return Fault{File: p.File, Line: p.Line, Column: p.Column, Key: key, Value: value, Allowed: allowed, Message: message}
}

// Decode sets the keys of *sections that the tree has and leaves the others
// as they are. It returns every fault, in the order of the file or else of
// the names.
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
			path := section + "." + n
			k, ok := shape.at[path]
			if !ok {
				if k, entry, ok := shape.entry(path); ok {
					if msg := assignEntry(v.FieldByIndex(k.field.Index), entry, table[n]); msg != "" {
						faults = append(faults, t.fault(path, text(table[n]), "", msg))
					}
					continue
				}
				faults = append(faults, t.fault(path, "", "", shape.unknownKey(section, n)))
				continue
			}
			if msg := assign(v.FieldByIndex(k.field.Index), k, table[n]); msg != "" {
				shown := text(table[n])
				if k.Secret {
					shown = ""
				}
				faults = append(faults, t.fault(path, shown, strings.Join(quoted(k.Allowed), ", "), msg))
			}
		}
	}
	faults.Sort()
	return faults
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

// assign sets one key and says what is wrong with the value.
func assign(field reflect.Value, k Key, value any) string {
	if s, ok := value.(string); ok && s == Null || value == nil {
		field.SetZero()
		return ""
	}
	if u, ok := field.Addr().Interface().(json.Unmarshaler); ok {
		b, err := json.Marshal(value)
		if err == nil {
			err = u.UnmarshalJSON(b)
		}
		if err != nil {
			return err.Error()
		}
		return ""
	}
	before := reflect.ValueOf(field.Interface())
	if msg := set(field, value); msg != "" {
		return msg
	}
	if len(k.Allowed) > 0 && !slices.Contains(k.Allowed, field.String()) {
		field.Set(before) // a fault changes nothing
		return "not allowed"
	}
	return ""
}

// set converts a value as TOML, JSON or a text gives it.
func set(field reflect.Value, value any) string {
	want := "want a " + typeName(field.Type())
	if field.Kind() == reflect.Bool {
		want = "want " + typeName(field.Type())
	}
	if field.Type() == reflect.TypeFor[time.Duration]() {
		return setDuration(field, value)
	}
	if text, ok := value.(string); ok && field.Kind() != reflect.String {
		return setText(field, text, want)
	}
	switch field.Kind() {
	case reflect.String:
		s, ok := value.(string)
		if !ok {
			return want
		}
		field.SetString(s)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			return want
		}
		field.SetBool(b)
	case reflect.Int, reflect.Int64:
		f, ok := number(value)
		if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return want
		}
		field.SetInt(int64(f))
	case reflect.Float64:
		f, ok := number(value)
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return want
		}
		field.SetFloat(f)
	case reflect.Slice:
		return setList(field, value, want)
	case reflect.Map:
		return setTable(field, value, want)
	default:
		return fmt.Sprintf("a %s cannot be set", field.Type())
	}
	return ""
}

func setDuration(field reflect.Value, value any) string {
	text, _ := value.(string)
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return `want a duration such as "30s" or "2h"`
	}
	field.SetInt(int64(d))
	return ""
}

func setText(field reflect.Value, text, want string) string {
	switch field.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return want
		}
		field.SetBool(b)
	case reflect.Slice:
		var list []any
		for s := range strings.SplitSeq(text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		return setList(field, list, want)
	case reflect.Int, reflect.Int64, reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return want
		}
		return set(field, f)
	default:
		return want
	}
	return ""
}

func setList(field reflect.Value, value any, want string) string {
	list, ok := value.([]any)
	if !ok {
		return want
	}
	out := reflect.MakeSlice(field.Type(), 0, len(list))
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return want
		}
		out = reflect.Append(out, reflect.ValueOf(s))
	}
	field.Set(out)
	return ""
}

func setTable(field reflect.Value, value any, want string) string {
	table, ok := value.(map[string]any)
	if !ok {
		return want
	}
	out := map[string]float64{}
	for k, v := range table {
		f, ok := number(v)
		if !ok || math.IsNaN(f) {
			return want
		}
		out[k] = f
	}
	field.Set(reflect.ValueOf(out))
	return ""
}

// assignEntry sets one entry of a table and leaves the others as they are; no
// value takes the entry away.
func assignEntry(field reflect.Value, name string, value any) string {
	table := map[string]float64{}
	for _, k := range field.MapKeys() { // a table of one's own
		table[k.String()] = field.MapIndex(k).Float()
	}
	if s, ok := value.(string); ok && s == Null || value == nil {
		delete(table, name)
	} else {
		if s, ok := value.(string); ok {
			value = json.Number(s)
		}
		f, ok := number(value)
		if !ok || math.IsNaN(f) {
			return "want a number"
		}
		table[name] = f
	}
	field.Set(reflect.ValueOf(table))
	return ""
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	default:
		return 0, false
	}
}

// text shows a value in a fault, shortened.
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
