package builtin

import (
	"time"

	"github.com/tunebus/tunebus/llm/token/jinja/pystr"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
	"github.com/tunebus/tunebus/llm/token/jinja/pytime"
)

// maxRange is the longest range that the sandbox allows.
const maxRange = 100_000

// Functions are those that templates find beside their variables.
func (r *Env) Functions(now time.Time) map[string]python.Value {
	out := map[string]python.Value{
		"range": &python.Func{Name: "range", Fn: func(_ *python.Meter, a python.Args) python.Value { return newRange(a) }},
		"dict":  dictType{},
		"namespace": &python.Func{Name: "namespace", Fn: func(m *python.Meter, a python.Args) python.Value {
			ns := &python.Namespace{Fields: python.NewDict()}
			fields := newDict(m, a)
			for i := range fields.Len() {
				k, v := fields.At(i)
				SetField(ns, k, v)
			}
			return ns
		}},
		"cycler": &python.Func{Name: "cycler", Fn: func(_ *python.Meter, a python.Args) python.Value {
			if len(a.Positional) == 0 {
				python.Raise("RuntimeError", "at least one item has to be provided")
			}
			return &cycler{items: a.Positional}
		}},
		"joiner": &python.Func{Name: "joiner", Fn: func(_ *python.Meter, a python.Args) python.Value {
			j := &joiner{separator: ", "}
			if v := a.Bind("joiner", 0, "sep")[0]; v != python.Missing {
				j.separator = v
			}
			return j
		}},
		"raise_exception": &python.Func{Name: "raise_exception", Fn: func(m *python.Meter, a python.Args) python.Value {
			python.Raise(RaisedByTemplate, "%s", python.Str(m, a.Bind("raise_exception", 1, "message")[0]))
			return nil
		}},
	}
	if !now.IsZero() {
		out["strftime_now"] = &python.Func{Name: "strftime_now", Fn: func(m *python.Meter, a python.Args) python.Value {
			format, ok := python.Text(a.Bind("strftime_now", 1, "format")[0])
			if !ok {
				python.Raise("TypeError", "strftime_now() takes a text")
			}
			m.Alloc(16 * len(format))
			return pytime.Strftime(now, format)
		}}
	}
	return out
}

func newRange(a python.Args) *python.Range {
	given := a.Only("range", 1, 3)
	n := make([]int64, len(given))
	for i, v := range given {
		var ok bool
		if n[i], ok = python.Int(v); !ok {
			if u, ok := v.(*python.Undefined); ok {
				u.Fail()
			}
			python.Raise("TypeError", "'%s' object cannot be interpreted as an integer", python.TypeName(v))
		}
		if n[i] > 1<<40 || n[i] < -1<<40 {
			python.Unsupported("a range with numbers beyond 40 bits")
		}
	}
	out := &python.Range{Step: 1}
	switch len(n) {
	case 1:
		out.Stop = n[0]
	case 3:
		out.Step = n[2]
		fallthrough
	default:
		out.Start, out.Stop = n[0], n[1]
	}
	switch {
	case out.Step == 0:
		python.Raise("ValueError", "range() arg 3 must not be zero")
	case out.Step > 0 && out.Start < out.Stop:
		out.Len = (out.Stop-out.Start-1)/out.Step + 1
	case out.Step < 0 && out.Start > out.Stop:
		out.Len = (out.Start-out.Stop-1)/-out.Step + 1
	}
	if out.Len > maxRange {
		python.Raise("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	return out
}

func newDict(m *python.Meter, a python.Args) *python.Dict {
	d := python.NewDict()
	if len(a.Positional) > 1 {
		python.Raise("TypeError", "dict expected at most 1 argument, got %d", len(a.Positional))
	}
	for _, v := range a.Positional {
		if u, ok := v.(*python.Undefined); ok {
			u.Fail()
		}
		d.Update(m, v)
	}
	for i, name := range a.Names {
		m.Alloc(64)
		d.Set(name, a.Named[i])
	}
	return d
}

// dictType is the function dict.
type dictType struct{}

// Call makes a dict.
func (dictType) Call(m *python.Meter, a python.Args) python.Value { return newDict(m, a) }

// TypeName is the one in transformers.
func (dictType) TypeName() string { return "TemplateDict" }

// Text is empty, since Python prints an address.
func (dictType) Text(*python.Meter) string { return "" }

// Attr refuses the one attribute that there is.
func (dictType) Attr(_ *python.Meter, name string) (python.Value, bool) {
	if name == "fromkeys" {
		python.Unsupported("dict.fromkeys")
	}
	return nil, false
}

// cycler gives its items in turn.
type cycler struct {
	items []python.Value
	at    int
}

// TypeName is the one in Jinja.
func (c *cycler) TypeName() string { return "Cycler" }

// Text is empty, since Python prints an address.
func (c *cycler) Text(*python.Meter) string { return "" }

// Attr is an attribute of a cycler.
func (c *cycler) Attr(_ *python.Meter, name string) (python.Value, bool) {
	switch name {
	case "current":
		return c.items[c.at], true
	case "items":
		return python.NewTuple(c.items...), true
	case "pos":
		return int64(c.at), true
	case "next":
		return method(name, 0, 0, func(*python.Meter, []python.Value) python.Value {
			v := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return v
		}), true
	case "reset":
		return method(name, 0, 0, func(*python.Meter, []python.Value) python.Value {
			c.at = 0
			return nil
		}), true
	}
	return nil, false
}

// joiner gives nothing first, and then its separator.
type joiner struct {
	separator python.Value
	used      bool
}

// TypeName is the one in Jinja.
func (j *joiner) TypeName() string { return "Joiner" }

// Text is empty, since Python prints an address.
func (j *joiner) Text(*python.Meter) string { return "" }

// Attr is an attribute of a joiner.
func (j *joiner) Attr(_ *python.Meter, name string) (python.Value, bool) {
	switch name {
	case "sep":
		return j.separator, true
	case "used":
		return j.used, true
	}
	return nil, false
}

// Call gives the separator, except for the first time.
func (j *joiner) Call(_ *python.Meter, a python.Args) python.Value {
	a.Only("joiner", 0, 0)
	if !j.used {
		j.used = true
		return ""
	}
	return j.separator
}

// refusals are what Jinja has and is not supported, with the reason.
var refusals = map[string]map[string]string{
	"function": {"lipsum": "its text is random", "self": "templates have no blocks here"},
	"method":   pystr.Refused,
	"test":     {},
	"filter": {
		"pprint":         "what it prints depends on Python's version",
		"random":         "rows would differ from one rendering to the next",
		"striptags":      "chat templates are not HTML",
		"urlize":         "chat templates are not HTML",
		"wordwrap":       "it is not covered",
		"xmlattr":        "chat templates are not HTML",
		"filesizeformat": "it is not covered",
	},
}

// Refused says why something of Jinja is not supported; "" if it is.
func Refused(what, name string) string { return refusals[what][name] }

// Known reports whether there is a filter or a test of this name.
func Known(what, name string) bool {
	if what == "test" {
		return tests[name] != nil
	}
	return filters[name] != nil
}
