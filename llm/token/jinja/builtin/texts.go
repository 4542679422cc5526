package builtin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/token/jinja/pystr"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// textFilters are the filters that make texts of texts.
var textFilters = map[string]filterFunc{
	"upper":      ofText("upper", pystr.Upper),
	"lower":      ofText("lower", pystr.Lower),
	"capitalize": ofText("capitalize", pystr.Capitalize),
	"title":      ofText("title", pystr.Words),
	"center": func(r *Env, v python.Value, a python.Args) python.Value {
		width := a.Bind("center", 0, "width")[0]
		if width == python.Missing {
			width = int64(80)
		}
		return pystr.Method(soft(r, v), "center").Call(r.M, python.Args{Positional: []python.Value{width}})
	},
	"trim": func(r *Env, v python.Value, a python.Args) python.Value {
		chars := a.Bind("trim", 0, "chars")[0]
		if chars == python.Missing {
			chars = nil
		}
		if safe, ok := v.(python.Markup); ok {
			return python.Markup(pystr.Strip(string(safe), chars))
		}
		return pystr.Strip(soft(r, v), chars)
	},
	"replace": func(r *Env, v python.Value, a python.Args) python.Value {
		given := a.Bind("replace", 2, "old", "new", "count")
		limit := int64(-1)
		if given[2] != python.Missing && given[2] != nil {
			limit = whole("replace", given[2])
		}
		return pystr.Replace(r.M, python.Str(r.M, v), python.Str(r.M, given[0]), python.Str(r.M, given[1]), limit)
	},
	"string": func(r *Env, v python.Value, a python.Args) python.Value {
		a.Only("string", 0, 0)
		if _, ok := v.(python.Markup); ok {
			return v
		}
		return python.Str(r.M, v)
	},
	"safe": func(r *Env, v python.Value, a python.Args) python.Value {
		a.Only("safe", 0, 0)
		return python.Markup(python.Str(r.M, v))
	},
	"e": escape, "escape": escape, "forceescape": func(r *Env, v python.Value, a python.Args) python.Value {
		return escape(r, python.Str(r.M, v), a)
	},
	"indent":    indent,
	"truncate":  truncate,
	"urlencode": urlencode,
	"wordcount": func(r *Env, v python.Value, a python.Args) python.Value {
		a.Only("wordcount", 0, 0)
		return int64(len(strings.FieldsFunc(soft(r, v), func(c rune) bool {
			return c != '_' && !unicode.IsLetter(c) && !unicode.IsNumber(c)
		})))
	},
}

func ofText(name string, fn func(string) string) filterFunc {
	return func(r *Env, v python.Value, a python.Args) python.Value {
		a.Only(name, 0, 0)
		if safe, ok := v.(python.Markup); ok && name != "title" {
			r.M.Alloc(3 * len(safe))
			return python.Markup(fn(string(safe)))
		}
		s := soft(r, v)
		r.M.Alloc(3 * len(s))
		return fn(s)
	}
}

func escape(r *Env, v python.Value, a python.Args) python.Value {
	a.Only("escape", 0, 0)
	return python.Escape(r.M, v)
}

// plain is the text that a filter works on which takes nothing else.
func plain(r *Env, name string, v python.Value) string {
	s, ok := v.(string)
	if !ok {
		if u, ok := v.(*python.Undefined); ok {
			u.Fail()
		}
		soft(r, v)
		python.Raise("TypeError", "%s: a text is needed, not %s", name, python.TypeName(v))
	}
	return s
}

func indent(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("indent", 0, "width", "first", "blank")
	s := plain(r, "indent", v)
	by := "    "
	if text, ok := given[0].(string); ok {
		by = text
	} else if given[0] != python.Missing {
		n := max(0, min(whole("indent", given[0]), 1<<40))
		r.M.Alloc(int(n))
		by = strings.Repeat(" ", int(n))
	}
	lines := pystr.Lines(s+"\n", false)
	var b strings.Builder
	for i, line := range lines {
		add := line
		if i > 0 {
			if line != "" || flag(given[2]) {
				add = by + line
			}
			add = "\n" + add
		} else if flag(given[1]) {
			add = by + line
		}
		r.M.Alloc(len(add))
		b.WriteString(add)
	}
	return b.String()
}

func truncate(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("truncate", 0, "length", "killwords", "end", "leeway")
	s := plain(r, "truncate", v)
	length, leeway, end := int64(255), int64(5), "..."
	if given[0] != python.Missing {
		length = whole("truncate", given[0])
	}
	if given[2] != python.Missing {
		end = plain(r, "truncate", given[2])
	}
	if given[3] != python.Missing && given[3] != nil {
		leeway = whole("truncate", given[3])
	}
	tail := int64(utf8.RuneCountInString(end))
	if length < tail || leeway < 0 {
		python.Raise("AssertionError", "expected length >= %d, got %d, and leeway >= 0, got %d", tail, length, leeway)
	}
	if int64(utf8.RuneCountInString(s)) <= length+leeway {
		return s
	}
	cut, _ := python.Slice(r.M, s, nil, length-tail, nil)
	out := cut.(string)
	if !flag(given[1]) {
		if i := strings.LastIndex(out, " "); i >= 0 {
			out = out[:i]
		}
	}
	r.M.Alloc(len(out) + len(end))
	return out + end
}

func urlencode(r *Env, v python.Value, a python.Args) python.Value {
	a.Only("urlencode", 0, 0)
	if _, ok := python.Text(v); ok || !python.CanIterate(v) {
		return quoted(r, v, false)
	}
	if d, ok := v.(*python.Dict); ok {
		v = &python.View{Dict: d, Kind: "items"}
	}
	var parts []string
	for _, pair := range python.Items(r.M, v) {
		kv := python.Items(r.M, pair)
		if len(kv) != 2 {
			python.Raise("ValueError", "urlencode takes pairs")
		}
		parts = append(parts, quoted(r, kv[0], true)+"="+quoted(r, kv[1], true))
	}
	return strings.Join(parts, "&")
}

func quoted(r *Env, v python.Value, query bool) string {
	s := python.Str(r.M, v)
	r.M.Alloc(3 * len(s))
	return pystr.Quote(s, query)
}
