package builtin

import (
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/pystr"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// reversed is reversed(v).
func (r *Env) reversed(v python.Value) *python.Iter {
	switch v.(type) {
	case string, python.Markup, *python.List, *python.Tuple, *python.Dict, *python.View, *python.Range:
		it := python.Iterate(r.M, &python.List{Items: reversedItems(python.Items(r.M, v))})
		it.Name = python.TypeName(v) + "_reverseiterator"
		return it
	}
	if u, ok := v.(*python.Undefined); ok {
		u.Fail()
	}
	python.Raise("TypeError", "'%s' object is not reversible", python.TypeName(v))
	return nil
}

func reversedItems(items []python.Value) []python.Value {
	slices.Reverse(items)
	return items
}

func batch(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("batch", 1, "linecount", "fill_with")
	n := whole("batch", given[0])
	it := python.Iterate(r.M, v)
	var held []python.Value
	ended := false
	return it.Behind("generator", func() (python.Value, bool) {
		for !ended {
			item, ok := it.Next()
			if !ok {
				ended = true
				break
			}
			r.M.Alloc(16)
			if int64(len(held)) == n {
				out := &python.List{Items: held}
				held = []python.Value{item}
				return out, true
			}
			held = append(held, item)
		}
		if len(held) == 0 {
			return nil, false
		}
		if given[1] != python.Missing && given[1] != nil && int64(len(held)) < n {
			if n > 1<<40 {
				n = 1 << 40
			}
			r.M.Alloc(16 * int(n))
			for int64(len(held)) < n {
				held = append(held, given[1])
			}
		}
		out := &python.List{Items: held}
		held = nil
		return out, true
	})
}

func sliceFilter(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("slice", 1, "slices", "fill_with")
	items := python.Items(r.M, v)
	n := whole("slice", given[0])
	if n == 0 {
		python.Raise("ZeroDivisionError", "integer division or modulo by zero")
	}
	r.M.Alloc(16 * int(max(0, min(n, 1<<40))))
	out := &python.List{}
	offset := int64(0)
	size, extra := int64(len(items))/max(n, 1), int64(len(items))%max(n, 1)
	for i := range max(n, 0) {
		from := offset + i*size
		if i < extra {
			offset++
		}
		part := &python.List{Items: slices.Clone(items[from : offset+(i+1)*size])}
		if given[1] != python.Missing && given[1] != nil && i >= extra {
			part.Items = append(part.Items, given[1])
		}
		out.Items = append(out.Items, part)
	}
	it := python.Iterate(r.M, out)
	return it.Behind("generator", it.Next)
}

// folded is a text in small letters, and anything else as it is.
func folded(v python.Value) python.Value {
	if s, ok := python.Text(v); ok {
		return pystr.Lower(s)
	}
	return v
}

// flag is an argument that is true or false.
func flag(v python.Value) bool { return v != python.Missing && python.Truthy(v) }

// keyed is an item with what it is sorted by.
type keyed struct{ key, item python.Value }

// sorted sorts as Python's sorted does, which keeps the order of equal items.
func (r *Env) sorted(items []keyed, reverse bool) []python.Value {
	r.M.Alloc(32 * len(items))
	slices.SortStableFunc(items, func(x, y keyed) int {
		if reverse {
			x, y = y, x
		}
		switch {
		case python.Less(r.M, "<", x.key, y.key):
			return -1
		case python.Less(r.M, "<", y.key, x.key):
			return 1
		}
		return 0
	})
	out := make([]python.Value, len(items))
	for i, k := range items {
		out[i] = k.item
	}
	return out
}

func sortFilter(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("sort", 0, "reverse", "case_sensitive", "attribute")
	var getters []func(python.Value) python.Value
	switch attribute := given[2].(type) {
	case string:
		for _, part := range strings.Split(attribute, ",") {
			getters = append(getters, r.getter(part, nil))
		}
	default:
		if attribute == python.Missing {
			attribute = nil
		}
		getters = append(getters, r.getter(attribute, nil))
	}
	var items []keyed
	for _, item := range python.Items(r.M, v) {
		key := &python.List{}
		for _, get := range getters {
			part := get(item)
			if !flag(given[1]) {
				part = folded(part)
			}
			key.Items = append(key.Items, part)
		}
		r.M.Alloc(64)
		items = append(items, keyed{key, item})
	}
	return &python.List{Items: r.sorted(items, flag(given[0]))}
}

func dictsort(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("dictsort", 0, "case_sensitive", "by", "reverse")
	d, ok := v.(*python.Dict)
	if !ok {
		if u, ok := v.(*python.Undefined); ok {
			u.Fail()
		}
		python.Raise("AttributeError", "'%s' object has no attribute 'items'", python.TypeName(v))
	}
	by := "key"
	if given[1] != python.Missing {
		by, _ = given[1].(string)
	}
	if by != "key" && by != "value" {
		python.Raise("FilterArgumentError", "You can only sort by either \"key\" or \"value\"")
	}
	items := make([]keyed, d.Len())
	for i := range items {
		k, value := d.At(i)
		items[i] = keyed{k, python.NewTuple(k, value)}
		if by == "value" {
			items[i].key = value
		}
		if !flag(given[0]) {
			items[i].key = folded(items[i].key)
		}
	}
	return &python.List{Items: r.sorted(items, flag(given[2]))}
}

func groupby(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("groupby", 1, "attribute", "default", "case_sensitive")
	otherwise := given[1]
	if otherwise == python.Missing {
		otherwise = nil
	}
	get := r.getter(given[0], otherwise)
	key := func(item python.Value) python.Value {
		if flag(given[2]) {
			return get(item)
		}
		return folded(get(item))
	}
	var items []keyed
	for _, item := range python.Items(r.M, v) {
		r.M.Alloc(64)
		items = append(items, keyed{key(item), item})
	}
	r.sorted(items, false)
	out := &python.List{}
	for from := 0; from < len(items); {
		to := from + 1
		for to < len(items) && python.Equal(r.M, items[to].key, items[from].key) {
			to++
		}
		group := &python.List{}
		for _, k := range items[from:to] {
			group.Items = append(group.Items, k.item)
		}
		out.Items = append(out.Items, &python.Tuple{Items: []python.Value{get(group.Items[0]), group}, Names: []string{"grouper", "list"}})
		if flag(given[2]) {
			out.Items[len(out.Items)-1].(*python.Tuple).Items[0] = items[from].key
		}
		from = to
	}
	return out
}

func unique(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("unique", 0, "case_sensitive", "attribute")
	attribute := given[1]
	if attribute == python.Missing {
		attribute = nil
	}
	get := r.getter(attribute, nil)
	it := python.Iterate(r.M, v)
	seen := python.NewDict()
	return it.Behind("generator", func() (python.Value, bool) {
		for {
			item, ok := it.Next()
			if !ok {
				return nil, false
			}
			key := get(item)
			if !flag(given[0]) {
				key = folded(key)
			}
			if _, there := seen.Get(key); !there {
				r.M.Alloc(64)
				seen.Set(key, true)
				return item, true
			}
		}
	})
}

// extreme is min or max: the first item that is before all others.
func extreme(name string, before func(r *Env, x, y python.Value) bool) filterFunc {
	return func(r *Env, v python.Value, a python.Args) python.Value {
		given := a.Bind(name, 0, "case_sensitive", "attribute")
		attribute := given[1]
		if attribute == python.Missing {
			attribute = nil
		}
		get := r.getter(attribute, nil)
		key := func(item python.Value) python.Value {
			if flag(given[0]) {
				return get(item)
			}
			return folded(get(item))
		}
		it := python.Iterate(r.M, v)
		best, ok := it.Next()
		if !ok {
			return Undefined("No aggregated item, sequence was empty.")
		}
		bestKey := key(best)
		for item, ok := it.Next(); ok; item, ok = it.Next() {
			if k := key(item); before(r, k, bestKey) {
				best, bestKey = item, k
			}
		}
		return best
	}
}

func sum(r *Env, v python.Value, a python.Args) python.Value {
	given := a.Bind("sum", 0, "attribute", "start")
	total := given[1]
	if total == python.Missing {
		total = int64(0)
	}
	if _, ok := python.Text(total); ok {
		python.Raise("TypeError", "sum() can't sum strings [use ''.join(seq) instead]")
	}
	it := r.each(v, given[0])
	for item, ok := it.Next(); ok; item, ok = it.Next() {
		total = python.Binary(r.M, "+", total, item)
	}
	return total
}

// lazily gives what fn keeps of the items of a value, one by one. A value that
// is false has none, whatever it is.
func (r *Env) lazily(v python.Value, fn func(python.Value) (python.Value, bool)) *python.Iter {
	if !python.Truthy(v) {
		v = python.NewList()
	}
	var it *python.Iter
	next := func() (python.Value, bool) {
		if it == nil {
			it = python.Iterate(r.M, v)
		}
		for {
			item, ok := it.Next()
			if !ok {
				return nil, false
			}
			if out, keep := fn(item); keep {
				return out, true
			}
		}
	}
	if source, ok := v.(*python.Iter); ok {
		return source.Behind("generator", next)
	}
	return (&python.Iter{}).Behind("generator", next)
}

func mapFilter(r *Env, v python.Value, a python.Args) python.Value {
	if len(a.Positional) == 0 && slices.Contains(a.Names, "attribute") {
		given := a.Bind("map", 0, "attribute", "default")
		otherwise := given[1]
		if otherwise == python.Missing {
			otherwise = nil
		}
		get := r.getter(given[0], otherwise)
		return r.lazily(v, func(item python.Value) (python.Value, bool) { return get(item), true })
	}
	if len(a.Positional) == 0 {
		python.Raise("FilterArgumentError", "map requires a filter argument")
	}
	name, ok := a.Positional[0].(string)
	if !ok {
		python.Raise("TemplateRuntimeError", "map requires the name of a filter")
	}
	rest := python.Args{Positional: a.Positional[1:], Names: a.Names, Named: a.Named}
	return r.lazily(v, func(item python.Value) (python.Value, bool) { return r.Filter(name, item, rest), true })
}

// selection is select or reject, of an item itself or of its attribute.
func selection(name string, attribute, keep bool) filterFunc {
	return func(r *Env, v python.Value, a python.Args) python.Value {
		get := r.getter(nil, nil)
		if attribute {
			if len(a.Positional) == 0 {
				python.Raise("FilterArgumentError", "%s: Missing parameter for attribute name", name)
			}
			get = r.getter(a.Positional[0], nil)
			a.Positional = a.Positional[1:]
		}
		passes := func(item python.Value) bool { return python.Truthy(item) }
		if len(a.Positional) > 0 {
			by, ok := a.Positional[0].(string)
			if !ok {
				python.Raise("TemplateRuntimeError", "%s requires the name of a test", name)
			}
			rest := python.Args{Positional: a.Positional[1:], Names: a.Names, Named: a.Named}
			passes = func(item python.Value) bool { return r.Test(by, item, rest) }
		}
		return r.lazily(v, func(item python.Value) (python.Value, bool) { return item, passes(get(item)) == keep })
	}
}
