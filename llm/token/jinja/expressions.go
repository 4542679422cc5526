package jinja

import (
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/builtin"
	"github.com/tunebus/tunebus/llm/token/jinja/pystr"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
	"github.com/tunebus/tunebus/llm/token/jinja/syntax"
)

// eval is the value of an expression.
func (r *run) eval(x syntax.Expr, s *scope) python.Value {
	r.M.Step(1)
	if r.nesting++; r.nesting > maxNesting {
		python.Raise("RecursionError", "the template is evaluated more than %d deep", maxNesting)
	}
	v := r.value(x, s)
	r.nesting--
	return v
}

func (r *run) value(x syntax.Expr, s *scope) python.Value {
	switch n := x.(type) {
	case *syntax.Const:
		return n.Value
	case *syntax.Name:
		v := s.lookup(r, n.Name)
		if list, ok := v.(*view); ok {
			return r.beginnings.whole(list)
		}
		return v
	case *syntax.Attr:
		v := r.eval(n.X, s)
		r.line = n.Line
		return r.Attr(v, n.Name)
	case *syntax.Item:
		return r.item(n, s)
	case *syntax.Call:
		return r.callWith(n, s, nil)
	case *syntax.Filter:
		v := r.eval(n.X, s)
		return r.filter(n, v, s)
	case *syntax.Test:
		v := r.eval(n.X, s)
		args := r.args(n.Args, s)
		r.line = n.Line
		return r.Test(n.Name, v, args)
	case *syntax.Unary:
		v := r.eval(n.X, s)
		r.line = n.Line
		if n.Op == "not" {
			return !python.Truthy(v)
		}
		return python.Sign(n.Op, v)
	case *syntax.Binary:
		return r.binary(n, s)
	case *syntax.Concat:
		parts := make([]string, len(n.Parts))
		for i, part := range n.Parts {
			parts[i] = python.Str(r.M, r.eval(part, s))
			r.M.Alloc(len(parts[i]))
		}
		return strings.Join(parts, "")
	case *syntax.Compare:
		v := r.eval(n.X, s)
		for i, op := range n.Ops {
			y := r.eval(n.Ys[i], s)
			r.line = n.Line
			if !python.Compare(r.M, op, v, y) {
				return false
			}
			v = y
		}
		return true
	case *syntax.Cond:
		if python.Truthy(r.eval(n.Test, s)) {
			return r.eval(n.Then, s)
		}
		if n.Else == nil {
			return builtin.Undefined("the inline if-expression evaluated to false and no else section was defined.")
		}
		return r.eval(n.Else, s)
	case *syntax.List:
		return &python.List{Items: r.values(n.Items, s)}
	case *syntax.Tuple:
		return &python.Tuple{Items: r.values(n.Items, s)}
	case *syntax.Dict:
		r.M.Alloc(64 * len(n.Keys))
		d := python.NewDict()
		for i, k := range n.Keys {
			key := r.eval(k, s)
			value := r.eval(n.Values[i], s)
			r.line = n.Line
			d.Set(key, value)
		}
		return d
	}
	python.Unsupported("an expression of type %T", x)
	return nil
}

func (r *run) values(xs []syntax.Expr, s *scope) []python.Value {
	r.M.Alloc(16 * len(xs))
	out := make([]python.Value, len(xs))
	for i, x := range xs {
		out[i] = r.eval(x, s)
	}
	return out
}

func (r *run) binary(n *syntax.Binary, s *scope) python.Value {
	x := r.eval(n.X, s)
	switch {
	case n.Op == "and" && !python.Truthy(x), n.Op == "or" && python.Truthy(x):
		return x
	}
	y := r.eval(n.Y, s)
	r.line = n.Line
	switch n.Op {
	case "and", "or":
		return y
	case "%":
		if format, ok := x.(string); ok {
			return pystr.Percent(r.M, format, y)
		}
	}
	return python.Binary(r.M, n.Op, x, y)
}

func (r *run) item(n *syntax.Item, s *scope) python.Value {
	v := raw(r, n.X, s)
	cut, ok := n.Index.(*syntax.Slice)
	if !ok {
		index := r.eval(n.Index, s)
		r.line = n.Line
		if list, ok := v.(*view); ok {
			return r.beginnings.index(list, index)
		}
		return r.Item(v, index)
	}
	if list, ok := v.(*view); ok {
		v = r.beginnings.whole(list)
	}
	part := func(x syntax.Expr) python.Value {
		if x == nil {
			return nil
		}
		return r.eval(x, s)
	}
	from, to, step := part(cut.From), part(cut.To), part(cut.Step)
	r.line = n.Line
	out, ok := python.Slice(r.M, v, from, to, step)
	if !ok {
		python.Raise("TypeError", "'%s' object is not subscriptable with a slice", python.TypeName(v))
	}
	return out
}

// callWith calls a function. caller, if there is one, is the body of the call
// block around.
func (r *run) callWith(n *syntax.Call, s *scope, caller *macro) python.Value {
	fn := r.eval(n.Func, s)
	args := r.args(n.Args, s)
	if caller != nil {
		args.Names = append(args.Names, "caller")
		args.Named = append(args.Named, caller)
	}
	r.line = n.Line
	switch fn := fn.(type) {
	case *python.Undefined:
		fn.Fail()
	case python.Callable:
		return fn.Call(r.M, args)
	}
	python.Raise("TypeError", "'%s' object is not callable", python.TypeName(fn))
	return nil
}

// args are the values of arguments.
func (r *run) args(n syntax.Args, s *scope) python.Args {
	out := python.Args{}
	if len(n.Positional) > 0 {
		out.Positional = r.values(n.Positional, s)
	}
	if len(n.Named) > 0 {
		out.Names = append(out.Names, n.Names...)
		out.Named = r.values(n.Named, s)
	}
	if n.Star != nil {
		out.Positional = append(out.Positional, python.Items(r.M, r.eval(n.Star, s))...)
	}
	if n.Double != nil {
		d, ok := r.eval(n.Double, s).(*python.Dict)
		if !ok {
			python.Raise("TypeError", "argument after ** must be a mapping")
		}
		for i := range d.Len() {
			k, v := d.At(i)
			name, ok := k.(string)
			if !ok {
				python.Raise("TypeError", "keywords must be strings")
			}
			for _, other := range out.Names {
				if other == name {
					python.Raise("TypeError", "got multiple values for keyword argument '%s'", name)
				}
			}
			r.M.Alloc(64)
			out.Names = append(out.Names, name)
			out.Named = append(out.Named, v)
		}
	}
	return out
}

// filter runs a filter on a value, after those that stand before it in a
// block.
func (r *run) filter(n *syntax.Filter, v python.Value, s *scope) python.Value {
	if before, ok := n.X.(*syntax.Filter); ok && blockHead(before) {
		v = r.filter(before, v, s)
	}
	args := r.args(n.Args, s)
	r.line = n.Line
	return r.Filter(n.Name, v, args)
}

// blockHead reports whether filters in a row begin with a block.
func blockHead(n *syntax.Filter) bool {
	for {
		next, ok := n.X.(*syntax.Filter)
		if !ok {
			return n.X == nil
		}
		n = next
	}
}
