package structconf

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// assign sets a key. It returns what is wrong with the value, or "".
func assign(field reflect.Value, k Key, value any) string {
	if s, ok := value.(string); ok && s == Null || value == nil {
		field.SetZero()
		return ""
	}
	if named, ok := value.(map[string]any); ok && isTable(field.Type()) {
		return setEntries(field, named)
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
		field.Set(before) // a wrong value must not change the key
		return "not allowed"
	}
	return ""
}

// set converts a value of TOML, JSON or a text and sets the field. It returns what
// is wrong with the value, or "".
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
	if n, ok := number(value); ok && n == 0 { // no other number says what it counts
		field.SetInt(0)
		return ""
	}
	text, _ := value.(string)
	d, err := time.ParseDuration(text)
	if err != nil {
		return `want a duration such as "30s" or "2h"`
	}
	if d < 0 {
		return `want a duration that is not negative, such as "30s" or "2h"`
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

// assignEntry sets an entry of a table, or removes it if the value is null. The
// other entries remain.
func assignEntry(field reflect.Value, name string, value any) string {
	if isTable(field.Type()) {
		all := entries(field)
		all[name] = value
		return setEntries(field, all)
	}
	table := map[string]float64{}
	for _, k := range field.MapKeys() { // a copy, because the caller may share the table
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
