package jinja

import (
	"github.com/tunebus/tunebus/llm/token/jinja/builtin"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
	"github.com/tunebus/tunebus/llm/token/jinja/syntax"
)

// signal is how a statement ended.
type signal uint8

const (
	goOn signal = iota
	breakLoop
	continueLoop
)

// run runs statements until one ends the loop around.
func (r *run) run(body []syntax.Stmt, s *scope) signal {
	for _, stmt := range body {
		if end := r.statement(stmt, s); end != goOn {
			return end
		}
	}
	return goOn
}

func (r *run) statement(stmt syntax.Stmt, s *scope) signal {
	r.M.Step(1)
	switch n := stmt.(type) {
	case *syntax.Text:
		r.write(n.Data)
	case *syntax.Output:
		r.line = n.Line
		for _, x := range n.Exprs {
			r.write(python.Str(r.M, r.eval(x, s)))
		}
	case *syntax.If:
		if python.Truthy(r.eval(n.Test, s)) {
			return r.run(n.Body, s)
		}
		return r.run(n.Else, s)
	case *syntax.For:
		r.line = n.Line
		r.loop(n, s, r.eval(n.Iter, s), 0)
	case *syntax.Set:
		r.line = n.Line
		r.assign(n.Target, raw(r, n.Value, s), s)
	case *syntax.SetBlock:
		var end signal
		var v python.Value = r.capture(func() { end = r.run(n.Body, newScope(s)) })
		if end != goOn {
			return end
		}
		r.line = n.Line
		if n.Filter != nil {
			v = r.filter(n.Filter, v, s)
		}
		r.assign(n.Target, v, s)
	case *syntax.With:
		r.line = n.Line
		inner := newScope(s)
		for i, target := range n.Targets {
			r.assign(target, r.eval(n.Values[i], s), inner)
		}
		return r.run(n.Body, inner)
	case *syntax.Macro:
		s.set(n.Name, &macro{r: r, name: n.Name, fn: n.Fn, scope: s})
	case *syntax.CallBlock:
		r.line = n.Line
		r.write(python.Str(r.M, r.callWith(n.Call, s, &macro{r: r, name: "caller", fn: n.Fn, scope: s})))
	case *syntax.FilterBlock:
		var end signal
		text := r.capture(func() { end = r.run(n.Body, newScope(s)) })
		if end != goOn {
			return end
		}
		r.line = n.Line
		r.write(python.Str(r.M, r.filter(n.Filter, text, s)))
	case *syntax.Generation:
		from := r.base + r.root.Len()
		text := r.capture(func() { r.run(n.Body, newScope(s)) })
		r.generated = append(r.generated, [2]int{from, from + len(text)})
		r.write(text)
	case *syntax.Break:
		return breakLoop
	case *syntax.Continue:
		return continueLoop
	}
	return goOn
}

// assign gives a value to a target.
func (r *run) assign(target syntax.Expr, v python.Value, s *scope) {
	switch t := target.(type) {
	case *syntax.Name:
		if r.beginnings != nil && s == r.beginnings.top {
			keep(v)
		}
		s.set(t.Name, v)
	case *syntax.Field:
		ns, ok := s.lookup(r, t.Object).(*python.Namespace)
		if !ok {
			python.Raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
		}
		r.M.Alloc(16)
		if r.beginnings != nil {
			if list, ok := v.(*view); ok {
				v = r.beginnings.whole(list)
			}
			keep(v)
			r.beginnings.change(ns)
		}
		builtin.SetField(ns, t.Name, v)
	case *syntax.Tuple:
		if !python.CanIterate(v) {
			python.Raise("TypeError", "cannot unpack non-iterable %s object", python.TypeName(v))
		}
		items := python.Items(r.M, v)
		if len(items) != len(t.Items) {
			python.Raise("ValueError", "a value of %d items cannot be given to %d names", len(items), len(t.Items))
		}
		for i, item := range t.Items {
			r.assign(item, items[i], s)
		}
	}
}

// loop runs a loop over the items of a value.
func (r *run) loop(n *syntax.For, s *scope, over python.Value, depth int64) {
	it := python.Iterate(r.M, over)
	length, sized := python.Length(over)
	if n.Test != nil {
		source := it
		sized = false
		it = source.Behind("generator", func() (python.Value, bool) {
			for {
				v, ok := source.Next()
				if !ok {
					return nil, false
				}
				if takes(r, n, s, v) {
					return v, true
				}
			}
		})
	}
	l := &loopContext{r: r, it: it, depth: depth, index: -1}
	if sized {
		l.length = length
		l.sized = true
	}
	if n.Recursive {
		l.recurse = func(v python.Value) python.Value {
			defer r.call()()
			return r.capture(func() { r.loop(n, s, v, depth+1) })
		}
	}
	for l.advance() {
		if iteration(r, n, s, l) == breakLoop {
			// The else of a loop belongs to loops without an item.
			return
		}
	}
	if l.index < 0 && len(n.Else) > 0 {
		r.run(n.Else, newScope(s))
	}
}

// takes reports whether the condition of a loop holds for an item.
func takes(r *run, n *syntax.For, s *scope, item python.Value) bool {
	inner := newScope(s)
	inner.set("loop", builtin.Undefined("the 'loop' name is not available in the condition of a loop"))
	r.assign(n.Target, item, inner)
	return python.Truthy(r.eval(n.Test, inner))
}

// iteration runs the body of a loop for its current item.
func iteration(r *run, n *syntax.For, s *scope, l *loopContext) signal {
	inner := &scope{around: s, vars: make([]variable, 0, 3)}
	inner.set("loop", l)
	r.assign(n.Target, l.current, inner)
	return r.run(n.Body, inner)
}
