package jinja

import (
	"slices"

	"github.com/tunebus/tunebus/llm/token/jinja/builtin"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
	"github.com/tunebus/tunebus/llm/token/jinja/syntax"
)

// macro is a function that a template defines, or the body of a call block.
type macro struct {
	r     *run
	name  string
	fn    *syntax.Function
	scope *scope // around its definition
}

// TypeName is the one in Jinja.
func (f *macro) TypeName() string { return "Macro" }

// Text is what it prints as.
func (f *macro) Text(m *python.Meter) string { return "<Macro " + python.Repr(m, f.name) + ">" }

// Attr is an attribute of a macro.
func (f *macro) Attr(_ *python.Meter, name string) (python.Value, bool) {
	switch name {
	case "name":
		return f.name, true
	case "arguments":
		out := python.NewTuple()
		for _, p := range f.fn.Params {
			out.Items = append(out.Items, p.Name)
		}
		return out, true
	case "catch_kwargs":
		return f.fn.Kwargs, true
	case "catch_varargs":
		return f.fn.Varargs, true
	case "caller":
		return f.fn.Caller, true
	}
	return nil, false
}

// Call is what the macro writes.
func (f *macro) Call(_ *python.Meter, a python.Args) python.Value {
	r := f.r
	defer r.call()()
	params := f.fn.Params
	inner := newScope(f.scope)
	taken := min(len(params), len(a.Positional))
	rest := python.NewDict()
	for i, name := range a.Names {
		rest.Set(name, a.Named[i])
	}
	used := map[string]bool{}
	for i, p := range params {
		if i < taken {
			inner.set(p.Name, a.Positional[i])
			continue
		}
		v, ok := rest.Get(p.Name)
		switch {
		case ok:
			used[p.Name] = true
		case p.Default != nil:
			v = r.eval(p.Default, inner)
		default:
			v = builtin.Undefined("parameter '%s' was not provided", p.Name)
		}
		inner.set(p.Name, v)
	}
	if f.fn.Caller {
		v, ok := rest.Get("caller")
		if !ok {
			v = builtin.Undefined("No caller defined")
		}
		used["caller"] = true
		inner.set("caller", v)
	}
	kwargs := python.NewDict()
	for i := range rest.Len() {
		if k, v := rest.At(i); !used[k.(string)] {
			kwargs.Set(k, v)
		}
	}
	switch {
	case f.fn.Kwargs:
		inner.set("kwargs", kwargs)
	case kwargs.Len() > 0:
		k, _ := kwargs.At(0)
		python.Raise("TypeError", "macro '%s' takes no keyword argument '%s'", f.name, k)
	}
	switch {
	case f.fn.Varargs:
		inner.set("varargs", python.NewTuple(slices.Clone(a.Positional[taken:])...))
	case len(a.Positional) > len(params):
		python.Raise("TypeError", "macro '%s' takes not more than %d argument(s)", f.name, len(params))
	}
	return r.capture(func() { r.run(f.fn.Body, inner) })
}
