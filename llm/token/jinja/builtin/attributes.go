package builtin

import (
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/pystr"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// changing are the methods that the sandbox forbids.
var changing = map[string][]string{
	"list": {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"},
	"dict": {"clear", "pop", "popitem", "setdefault", "update"},
}

// foreign are attributes that Python's values have and these have not.
var foreign = map[string][]string{
	"int":   {"as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes", "imag", "is_integer", "numerator", "real", "to_bytes"},
	"float": {"as_integer_ratio", "conjugate", "fromhex", "hex", "imag", "is_integer", "real"},
	"bool":  {"as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator", "from_bytes", "imag", "is_integer", "numerator", "real", "to_bytes"},
	"dict":  {"fromkeys"},
	"range": {"count", "index", "start", "step", "stop"},
}

// Attr is v.name: an attribute, or else an item.
func (r *Env) Attr(v python.Value, name string) python.Value {
	if out, ok := r.attribute(v, name); ok {
		return out
	}
	if out, ok := python.Item(r.M, v, name); ok {
		return out
	}
	return r.none(v, name)
}

// Item is v[index]: an item, or else an attribute.
func (r *Env) Item(v, index python.Value) python.Value {
	if out, ok := python.Item(r.M, v, index); ok {
		return out
	}
	if name, ok := index.(string); ok {
		if out, ok := r.attribute(v, name); ok {
			return out
		}
	}
	return r.none(v, index)
}

// none is what Jinja gives for what is not there.
func (r *Env) none(v, name python.Value) *python.Undefined {
	of := "None"
	if v != nil {
		of = python.TypeName(v) + " object"
	}
	if s, ok := name.(string); ok {
		return Undefined("'%s' has no attribute '%s'", of, s)
	}
	return Undefined("%s has no element %s", of, python.TypeName(name))
}

// attribute is an attribute in Python's sense.
func (r *Env) attribute(v python.Value, name string) (python.Value, bool) {
	kind := python.TypeName(v)
	if slices.Contains(changing[kind], name) {
		return &python.Undefined{Kind: "SecurityError", Message: "access to attribute '" + name + "' of '" + kind + "' object is unsafe."}, true
	}
	if slices.Contains(foreign[kind], name) {
		python.Unsupported("the attribute %s of a value of type %s", name, kind)
	}
	switch v := v.(type) {
	case *python.Undefined:
		v.Fail()
	case string:
		return r.textMethod(v, name)
	case python.Markup:
		if _, ok := r.textMethod(string(v), name); ok || name == "unescape" || name == "striptags" {
			python.Unsupported("the method %s of a text that safe or escape made", name)
		}
	case *python.Dict:
		return dictMethod(v, name)
	case *python.List:
		if name == "copy" {
			return method(name, 0, 0, func(m *python.Meter, _ []python.Value) python.Value {
				m.Alloc(16 * len(v.Items))
				return &python.List{Items: slices.Clone(v.Items)}
			}), true
		}
		return sequenceMethod(v.Items, name)
	case *python.Tuple:
		if i := slices.Index(v.Names, name); i >= 0 {
			return v.Items[i], true
		}
		return sequenceMethod(v.Items, name)
	case *python.Namespace:
		return v.Fields.Get(name)
	case *python.View:
		if name == "isdisjoint" || name == "mapping" {
			python.Unsupported("the attribute %s of a value of type %s", name, kind)
		}
	case *python.Iter:
		if strings.HasPrefix(name, "gi_") || name == "send" || name == "throw" || name == "close" {
			python.Unsupported("the attribute %s of a value of type %s", name, kind)
		}
	case python.Object:
		return v.Attr(r.M, name)
	}
	return nil, false
}

// method is a method that takes no keywords.
func method(name string, required, most int, fn func(m *python.Meter, a []python.Value) python.Value) *python.Func {
	return &python.Func{Name: name, Fn: func(m *python.Meter, a python.Args) python.Value {
		return fn(m, a.Only(name, required, most))
	}}
}

func (r *Env) textMethod(s, name string) (python.Value, bool) {
	if reason := pystr.Refused[name]; reason != "" {
		python.Unsupported("the method %s of a text: %s", name, reason)
	}
	lookup := pystr.Lookup{Attr: r.Attr, Item: r.Item}
	switch name {
	case "format":
		return &python.Func{Name: name, Fn: func(m *python.Meter, a python.Args) python.Value {
			return pystr.Format(m, s, a, lookup)
		}}, true
	case "format_map":
		return method(name, 1, 1, func(m *python.Meter, a []python.Value) python.Value {
			d, ok := a[0].(*python.Dict)
			if !ok {
				python.Raise("TypeError", "format_map() takes a dict, not %s", python.TypeName(a[0]))
			}
			var args python.Args
			for i := range d.Len() {
				if k, v := d.At(i); python.TypeName(k) == "str" {
					args.Names = append(args.Names, k.(string))
					args.Named = append(args.Named, v)
				}
			}
			return pystr.Format(m, s, args, lookup)
		}), true
	}
	if fn := pystr.Method(s, name); fn != nil {
		return fn, true
	}
	return nil, false
}

func dictMethod(d *python.Dict, name string) (python.Value, bool) {
	switch name {
	case "keys", "values", "items":
		return method(name, 0, 0, func(*python.Meter, []python.Value) python.Value {
			return &python.View{Dict: d, Kind: name}
		}), true
	case "get":
		return method(name, 1, 2, func(_ *python.Meter, a []python.Value) python.Value {
			if v, ok := d.Get(a[0]); ok {
				return v
			}
			if len(a) == 2 {
				return a[1]
			}
			return nil
		}), true
	case "copy":
		return method(name, 0, 0, func(m *python.Meter, _ []python.Value) python.Value { return d.Copy(m) }), true
	}
	return nil, false
}

func sequenceMethod(items []python.Value, name string) (python.Value, bool) {
	switch name {
	case "index":
		return method(name, 1, 3, func(m *python.Meter, a []python.Value) python.Value {
			if len(a) > 1 {
				python.Unsupported("index with a range")
			}
			for i, item := range items {
				if python.Equal(m, item, a[0]) {
					return int64(i)
				}
			}
			python.Raise("ValueError", "%s is not in list", python.Repr(m, a[0]))
			return nil
		}), true
	case "count":
		return method(name, 1, 1, func(m *python.Meter, a []python.Value) python.Value {
			n := int64(0)
			for _, item := range items {
				if python.Equal(m, item, a[0]) {
					n++
				}
			}
			return n
		}), true
	}
	return nil, false
}
