package builtin

import (
	"github.com/tunebus/tunebus/llm/token/jinja/pystr"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// Test is a test by its name.
func (r *Env) Test(name string, v python.Value, a python.Args) bool {
	fn := tests[name]
	if fn == nil {
		python.Raise("TemplateRuntimeError", "No test named '%s' found.", name)
	}
	return fn(r, v, a)
}

type testFunc func(r *Env, v python.Value, a python.Args) bool

var tests map[string]testFunc

func init() { // the test "filter" looks at the filters, which use tests
	compare := func(op string) testFunc {
		return func(r *Env, v python.Value, a python.Args) bool {
			return python.Compare(r.M, op, v, a.Only(op, 1, 1)[0])
		}
	}
	plain := func(is func(v python.Value) bool) testFunc {
		return func(_ *Env, v python.Value, a python.Args) bool {
			a.Only("the test", 0, 0)
			return is(v)
		}
	}
	tests = map[string]testFunc{
		"==": compare("=="), "eq": compare("=="), "equalto": compare("=="),
		"!=": compare("!="), "ne": compare("!="),
		">": compare(">"), "gt": compare(">"), "greaterthan": compare(">"),
		">=": compare(">="), "ge": compare(">="),
		"<": compare("<"), "lt": compare("<"), "lessthan": compare("<"),
		"<=": compare("<="), "le": compare("<="),
		"in": compare("in"),
		"odd": func(r *Env, v python.Value, a python.Args) bool {
			a.Only("odd", 0, 0)
			return python.Equal(r.M, r.modulo(v, int64(2)), int64(1))
		},
		"even": func(r *Env, v python.Value, a python.Args) bool {
			a.Only("even", 0, 0)
			return python.Equal(r.M, r.modulo(v, int64(2)), int64(0))
		},
		"divisibleby": func(r *Env, v python.Value, a python.Args) bool {
			return python.Equal(r.M, r.modulo(v, a.Bind("divisibleby", 1, "num")[0]), int64(0))
		},
		"defined":   plain(func(v python.Value) bool { return !isUndefined(v) }),
		"undefined": plain(isUndefined),
		"none":      plain(func(v python.Value) bool { return v == nil }),
		"boolean":   plain(func(v python.Value) bool { return python.TypeName(v) == "bool" }),
		"true":      plain(func(v python.Value) bool { return v == true }),
		"false":     plain(func(v python.Value) bool { return v == false }),
		"integer":   plain(func(v python.Value) bool { return python.TypeName(v) == "int" }),
		"float":     plain(func(v python.Value) bool { return python.TypeName(v) == "float" }),
		"number": plain(func(v python.Value) bool {
			_, ok := python.Float(v)
			return ok
		}),
		"string": plain(func(v python.Value) bool {
			_, ok := python.Text(v)
			return ok
		}),
		"mapping":  plain(func(v python.Value) bool { return python.TypeName(v) == "dict" }),
		"sequence": plain(isSequence),
		"iterable": plain(func(v python.Value) bool { return python.CanIterate(v) || python.TypeName(v) == "LoopContext" }),
		"callable": plain(func(v python.Value) bool {
			_, ok := v.(python.Callable)
			return ok || isUndefined(v)
		}),
		"escaped": plain(func(v python.Value) bool { return python.TypeName(v) == "Markup" }),
		"lower": func(r *Env, v python.Value, a python.Args) bool {
			a.Only("lower", 0, 0)
			return pystr.IsLower(python.Str(r.M, v))
		},
		"upper": func(r *Env, v python.Value, a python.Args) bool {
			a.Only("upper", 0, 0)
			return pystr.IsUpper(python.Str(r.M, v))
		},
		"sameas": func(_ *Env, v python.Value, a python.Args) bool {
			return same(v, a.Bind("sameas", 1, "other")[0])
		},
		"filter": plain(func(v python.Value) bool {
			s, _ := v.(string)
			return filters[s] != nil || refusals["filter"][s] != ""
		}),
		"test": plain(func(v python.Value) bool {
			s, _ := v.(string)
			return tests[s] != nil
		}),
	}
}

func isUndefined(v python.Value) bool {
	_, ok := v.(*python.Undefined)
	return ok
}

func isSequence(v python.Value) bool {
	switch v.(type) {
	case string, python.Markup, *python.List, *python.Tuple, *python.Dict, *python.Range, *python.Undefined:
		return true
	}
	return false
}

// modulo is x % y.
func (r *Env) modulo(x, y python.Value) python.Value {
	if s, ok := x.(string); ok {
		return pystr.Percent(r.M, s, y)
	}
	return python.Binary(r.M, "%", x, y)
}

// same is x is y. Which equal numbers and texts are one object is up to
// Python.
func same(x, y python.Value) bool {
	if python.TypeName(x) != python.TypeName(y) {
		return false
	}
	switch x := x.(type) {
	case int64:
		if x == y && (x < -5 || x > 256) {
			python.Unsupported("the test sameas of two equal numbers beyond 256")
		}
	case float64, string, python.Markup:
		if x == y {
			python.Unsupported("the test sameas of two equal values of type %s", python.TypeName(x))
		}
	}
	return x == y
}
