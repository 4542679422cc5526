package builtin

import (
	"math"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/pyjson"
	"github.com/tunebus/tunebus/llm/token/jinja/pystr"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// Filter is a filter by its name.
func (r *Env) Filter(name string, v python.Value, a python.Args) python.Value {
	fn := filters[name]
	if fn == nil {
		if reason := Refused("filter", name); reason != "" {
			python.Unsupported("the filter %q: %s", name, reason)
		}
		python.Raise("TemplateRuntimeError", "No filter named '%s' found.", name)
	}
	return fn(r, v, a)
}

type filterFunc func(r *Env, v python.Value, a python.Args) python.Value

var filters map[string]filterFunc

func init() { // filters such as map look filters up
	filters = map[string]filterFunc{
		"abs":      abs,
		"attr":     attrFilter,
		"batch":    batch,
		"d":        defaultFilter,
		"default":  defaultFilter,
		"dictsort": dictsort,
		"first": func(r *Env, v python.Value, a python.Args) python.Value {
			a.Only("first", 0, 0)
			if out, ok := python.Iterate(r.M, v).Next(); ok {
				return out
			}
			return Undefined("No first item, sequence was empty.")
		},
		"float":   floatFilter,
		"format":  format,
		"groupby": groupby,
		"int":     intFilter,
		"items": func(r *Env, v python.Value, a python.Args) python.Value {
			a.Only("items", 0, 0)
			d, ok := v.(*python.Dict)
			if !ok {
				if !isUndefined(v) {
					python.Raise("TypeError", "Can only get item pairs from a mapping.")
				}
				d = python.NewDict()
			}
			it := python.Iterate(r.M, &python.View{Dict: d, Kind: "items"})
			return it.Behind("generator", it.Next)
		},
		"join": func(r *Env, v python.Value, a python.Args) python.Value {
			given := a.Bind("join", 0, "d", "attribute")
			separator := ""
			if given[0] != python.Missing {
				separator = python.Str(r.M, given[0])
			}
			it := r.each(v, given[1])
			return pystr.Join(r.M, separator, it.Behind("map", func() (python.Value, bool) {
				item, ok := it.Next()
				if !ok {
					return nil, false
				}
				return python.Str(r.M, item), true
			}))
		},
		"last": func(r *Env, v python.Value, a python.Args) python.Value {
			a.Only("last", 0, 0)
			if out, ok := r.reversed(v).Next(); ok {
				return out
			}
			return Undefined("No last item, sequence was empty.")
		},
		"list": func(r *Env, v python.Value, a python.Args) python.Value {
			a.Only("list", 0, 0)
			return &python.List{Items: python.Items(r.M, v)}
		},
		"length": length,
		"count":  length,
		"map":    mapFilter,
		"max":    extreme("max", func(r *Env, x, y python.Value) bool { return python.Less(r.M, ">", y, x) }),
		"min":    extreme("min", func(r *Env, x, y python.Value) bool { return python.Less(r.M, "<", x, y) }),
		"reject": selection("reject", false, false), "rejectattr": selection("rejectattr", true, false),
		"select": selection("select", false, true), "selectattr": selection("selectattr", true, true),
		"reverse": func(r *Env, v python.Value, a python.Args) python.Value {
			a.Only("reverse", 0, 0)
			if s, ok := v.(string); ok {
				out, _ := python.Slice(r.M, s, nil, nil, int64(-1))
				return out
			}
			if it, ok := v.(*python.Iter); ok {
				return &python.List{Items: reversedItems(python.Items(r.M, it))}
			}
			return r.reversed(v)
		},
		"round":  round,
		"slice":  sliceFilter,
		"sort":   sortFilter,
		"sum":    sum,
		"tojson": toJSON,
		"unique": unique,
	}
	for name, fn := range textFilters {
		filters[name] = fn
	}
}

// whole is an argument that has to be an integer.
func whole(name string, v python.Value) int64 {
	i, ok := python.Int(v)
	if !ok {
		if u, ok := v.(*python.Undefined); ok {
			u.Fail()
		}
		python.Raise("TypeError", "%s: an integer is needed, not %s", name, python.TypeName(v))
	}
	return i
}

func abs(_ *Env, v python.Value, a python.Args) python.Value {
	a.Only("abs", 0, 0)
	if f, ok := v.(float64); ok {
		return math.Abs(f)
	}
	i, ok := python.Int(v)
	switch {
	case !ok:
		python.Raise("TypeError", "bad operand type for abs(): '%s'", python.TypeName(v))
	case i < 0:
		return python.Sign("-", i)
	}
	return i
}

func attrFilter(r *Env, v python.Value, a python.Args) python.Value {
	name, ok := python.Text(a.Bind("attr", 1, "name")[0])
	if !ok {
		python.Raise("TypeError", "attribute name must be string")
	}
	if !isUndefined(v) {
		if out, ok := r.attribute(v, name); ok {
			return out
		}
		return r.none(v, name)
	}
	v.(*python.Undefined).Fail()
	return nil
}

func defaultFilter(_ *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("default", 0, "default_value", "boolean")
	if isUndefined(v) || given[1] != python.Missing && python.Truthy(given[1]) && !python.Truthy(v) {
		if given[0] == python.Missing {
			return ""
		}
		return given[0]
	}
	return v
}

func floatFilter(_ *Env, v python.Value, a python.Args) python.Value {
	otherwise := a.Bind("float", 0, "default")[0]
	if u, ok := v.(*python.Undefined); ok {
		u.Fail()
	}
	if f, ok := python.Float(v); ok {
		return f
	}
	if s, ok := python.Text(v); ok {
		if f, ok := pystr.ParseFloat(s); ok {
			return f
		}
	}
	if otherwise == python.Missing {
		return 0.0
	}
	return otherwise
}

func intFilter(_ *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("int", 0, "default", "base")
	base := int64(10)
	if given[1] != python.Missing {
		base = whole("int", given[1])
	}
	switch v := v.(type) {
	case *python.Undefined:
		v.Fail()
	case string:
		if i, ok := pystr.ParseInt(v, base); ok {
			return i
		}
		if f, ok := pystr.ParseFloat(v); ok {
			if i, ok := pystr.ToInt(f); ok {
				return i
			}
		}
	default:
		if i, ok := pystr.ToInt(v); ok {
			return i
		}
		if f, ok := v.(float64); ok && math.IsInf(f, 0) {
			python.Raise("OverflowError", "cannot convert float infinity to integer")
		}
	}
	if given[0] == python.Missing {
		return int64(0)
	}
	return given[0]
}

func length(r *Env, v python.Value, a python.Args) python.Value {
	a.Only("length", 0, 0)
	if s, ok := v.(string); ok {
		r.M.Step(len(s) / 256)
	}
	n, ok := python.Length(v)
	if !ok {
		python.Raise("TypeError", "object of type '%s' has no len()", python.TypeName(v))
	}
	return int64(n)
}

func round(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("round", 0, "precision", "method")
	digits, method := int64(0), "common"
	if given[0] != python.Missing {
		digits = whole("round", given[0])
	}
	if given[1] != python.Missing {
		method, _ = given[1].(string)
	}
	switch method {
	case "common":
		return pystr.Round(v, digits)
	case "ceil", "floor":
		scale := python.Binary(r.M, "**", int64(10), digits)
		f, ok := python.Float(python.Binary(r.M, "*", v, scale))
		if !ok {
			python.Raise("TypeError", "must be real number, not %s", python.TypeName(v))
		}
		f = map[string]func(float64) float64{"ceil": math.Ceil, "floor": math.Floor}[method](f)
		i, ok := pystr.ToInt(f)
		if !ok {
			python.Raise("OverflowError", "cannot convert float infinity or NaN to integer")
		}
		return python.Binary(r.M, "/", i, scale)
	}
	python.Raise("FilterArgumentError", "method must be common, ceil or floor")
	return nil
}

func toJSON(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys")
	how := pyjson.Options{}
	if given[0] != python.Missing {
		how.ASCII = python.Truthy(given[0])
	}
	if given[1] != python.Missing {
		how.Indent = given[1]
	}
	if given[2] != python.Missing {
		how.Separators = given[2]
	}
	if given[3] != python.Missing {
		how.SortKeys = python.Truthy(given[3])
	}
	return pyjson.Dumps(r.M, v, how)
}

func format(r *Env, v python.Value, a python.Args) python.Value {
	s := soft(r, v)
	if len(a.Names) == 0 {
		return pystr.Percent(r.M, s, python.NewTuple(a.Positional...))
	}
	if len(a.Positional) > 0 {
		python.Raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
	}
	return pystr.Percent(r.M, s, newDict(r.M, a))
}

// soft is the text of a value that a filter works on.
func soft(r *Env, v python.Value) string {
	if _, ok := v.(python.Markup); ok {
		python.Unsupported("a filter on a text that safe or escape made")
	}
	return python.Str(r.M, v)
}

// each iterates over the items of a value, or over an attribute of each.
func (r *Env) each(v, attribute python.Value) *python.Iter {
	it := python.Iterate(r.M, v)
	if attribute == python.Missing || attribute == nil {
		return it
	}
	get := r.getter(attribute, nil)
	return it.Behind("map", func() (python.Value, bool) {
		item, ok := it.Next()
		if !ok {
			return nil, false
		}
		return get(item), true
	})
}

// getter finds an attribute with dots in it. otherwise, unless it is None,
// stands for what is not there.
func (r *Env) getter(attribute, otherwise python.Value) func(python.Value) python.Value {
	var parts []python.Value
	switch attribute := attribute.(type) {
	case nil:
	case string:
		for _, part := range strings.Split(attribute, ".") {
			if i, ok := pystr.ParseInt(part, 10); ok && strings.Trim(part, "0123456789") == "" {
				parts = append(parts, i)
			} else {
				parts = append(parts, part)
			}
		}
	default:
		parts = append(parts, attribute)
	}
	return func(v python.Value) python.Value {
		for _, part := range parts {
			v = r.Item(v, part)
			if otherwise != nil && isUndefined(v) {
				v = otherwise
			}
		}
		return v
	}
}
