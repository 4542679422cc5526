package jinja

import (
	"github.com/tunebus/tunebus/llm/token/jinja/python"
	"github.com/tunebus/tunebus/llm/token/jinja/syntax"
)

// view is the list of messages from a position on, while it is open how long it is.
// Only what an assignment, an index and a loop are about can be a view; all else that
// asks for the list gets it once its length is known.
type view struct{ from int }

// raw is the value of an expression, which may be a view.
func raw(r *run, x syntax.Expr, s *scope) python.Value {
	if r.beginnings != nil {
		switch n := x.(type) {
		case *syntax.Name:
			return s.lookup(r, n.Name)
		case *syntax.Item:
			if from, ok := tail(n); ok {
				if v, ok := s.lookup(r, n.X.(*syntax.Name).Name).(*view); ok {
					return &view{v.from + from}
				}
			}
		}
	}
	return r.eval(x, s)
}

// tail is the position of an index such as [1:] behind a name.
func tail(n *syntax.Item) (from int, ok bool) {
	if _, ok := n.X.(*syntax.Name); !ok {
		return 0, false
	}
	cut, ok := n.Index.(*syntax.Slice)
	if !ok || cut.To != nil || cut.Step != nil {
		return 0, false
	}
	c, ok := cut.From.(*syntax.Const)
	if !ok {
		return 0, false
	}
	at, ok := c.Value.(int64)
	return int(at), ok && at >= 0 && at < 1<<31
}

// whole is the list of a view, whose length has to be known.
func (p *beginnings) whole(v *view) *python.List {
	if p.known < 0 {
		panic(errDepends)
	}
	list := p.lists[v.from]
	if list == nil {
		list = python.NewList()
		if v.from < p.known {
			list.Items = append(list.Items, p.items[v.from:p.known]...)
			list.Items[len(list.Items)-1] = p.at(p.known - 1)
		}
		if p.lists == nil {
			p.lists = map[int]*python.List{}
		}
		p.lists[v.from] = list
	}
	return list
}

// index is an item of a view.
func (p *beginnings) index(v *view, index python.Value) python.Value {
	if p.known < 0 {
		i, ok := python.Int(index)
		if !ok || i < 0 || i >= int64(p.least-v.from) {
			panic(errDepends)
		}
		p.see(v.from + int(i))
		return p.items[v.from+int(i)]
	}
	return p.run.Item(p.whole(v), index)
}

// see says that the trunk depends on an item.
func (p *beginnings) see(i int) {
	if p.known < 0 {
		p.seen = max(p.seen, i)
	}
}

// at is an item of the list.
func (p *beginnings) at(i int) python.Value {
	if i == p.known-1 && p.last != nil {
		return p.last
	}
	return p.items[i]
}

// keep says that a value outlives the item of a loop. A value that changes while it is
// used could not be brought back to what it was.
func keep(v python.Value) {
	items := []python.Value{v}
	switch v := v.(type) {
	case *python.List:
		items = v.Items
	case *python.Tuple:
		items = v.Items
	}
	for _, item := range items {
		switch item.(type) {
		case nil, bool, int64, float64, string, python.Markup, *python.List, *python.Tuple, *python.Dict, *python.View, *python.Range,
			*python.Undefined, *python.Namespace, *macro, *view:
		default:
			panic(errDepends)
		}
	}
}

// change says that a field of a namespace is about to change.
func (p *beginnings) change(ns *python.Namespace) {
	if p.touched[ns] == nil {
		p.touched[ns] = ns.Fields.Copy(p.run.M)
	}
	if p.undo != nil && p.undo[ns] == nil {
		p.undo[ns] = ns.Fields
		ns.Fields = ns.Fields.Copy(p.run.M)
	}
}

// identical reports whether two values are the same one, as far as that is seen at once.
func identical(a, b python.Value) bool {
	if v, ok := a.(*view); ok {
		w, ok := b.(*view)
		return ok && *v == *w
	}
	switch a.(type) {
	case nil, bool, int64, float64, string, python.Markup, *python.List, *python.Tuple, *python.Dict, *python.Undefined,
		*python.Namespace, *macro:
		return a == b
	}
	return false
}
