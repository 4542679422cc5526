package structconf

import (
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"
)

// table is a key that holds named values of any kind. Its pointer is a
// json.Unmarshaler, which reads an object.
type table interface {
	// Entries returns a copy of the values, as a decoder of TOML returns them.
	Entries() map[string]any
}

// isTable reports whether a type is a table of values of any kind.
func isTable(t reflect.Type) bool { return t.Implements(reflect.TypeFor[table]()) }

func entries(v reflect.Value) map[string]any { return v.Interface().(table).Entries() }

// setEntries sets all values of a table. Those that are null are left out. It
// returns what is wrong with them, or "".
func setEntries(field reflect.Value, values map[string]any) string {
	values = maps.Clone(values)
	maps.DeleteFunc(values, func(_ string, v any) bool { return v == nil || v == Null })
	body, err := json.Marshal(exact(values))
	if err != nil {
		return "want numbers that are finite"
	}
	if err := field.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(body); err != nil {
		return err.Error()
	}
	return ""
}

// exact returns a value of TOML in which no floating-point number looks like a
// whole one: encoding/json would write 1.0 as 1.
func exact(v any) any {
	switch v := v.(type) {
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if strings.ContainsAny(text, ".eIN") {
			return v
		}
		return json.Number(text + ".0")
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = exact(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			out[name] = exact(e)
		}
		return out
	default:
		return v
	}
}
