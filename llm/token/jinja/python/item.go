package python

import (
	"math"
	"unicode/utf8"
)

// Item is v[index]; false if there is no such item, or v has none at all.
func Item(m *Meter, v, index Value) (Value, bool) {
	switch v := v.(type) {
	case *Undefined:
		v.Fail()
	case *Dict:
		switch index.(type) {
		case *List, *Dict:
			return nil, false // Python's TypeError, which Jinja passes over
		}
		return v.Get(index)
	case *List:
		return at(index, len(v.Items), func(i int) Value { return v.Items[i] })
	case *Tuple:
		return at(index, len(v.Items), func(i int) Value { return v.Items[i] })
	case *Range:
		return at(index, int(v.Len), func(i int) Value { return v.Start + int64(i)*v.Step })
	case string:
		n, _ := Length(v)
		m.Step(1 + len(v)/256)
		return at(index, n, func(i int) Value { return character(v, i, n) })
	case Markup:
		Unsupported("an index into a text that safe or escape made")
	}
	return nil, false
}

func at(index Value, n int, item func(int) Value) (Value, bool) {
	i, ok := Int(index)
	if ok && i < 0 {
		i += int64(n)
	}
	if !ok || i < 0 || i >= int64(n) {
		return nil, false
	}
	return item(int(i)), true
}

// character is that at position i of n.
func character(s string, i, n int) string {
	if n == len(s) {
		return s[i : i+1]
	}
	for ; i > 0; i-- {
		_, size := utf8.DecodeRuneInString(s)
		s = s[size:]
	}
	_, size := utf8.DecodeRuneInString(s)
	return s[:size]
}

// Slice is v[from:to:step]; false if v has no slices.
func Slice(m *Meter, v, from, to, step Value) (Value, bool) {
	n, _ := Length(v)
	var items []Value
	switch v := v.(type) {
	case *Undefined:
		v.Fail()
	case *List:
		items = v.Items
	case *Tuple:
		items = v.Items
	case string:
		if n != len(v) {
			items = Items(m, v)
		}
	case Markup, *Range:
		Unsupported("a slice of a value of type %s", TypeName(v))
	default:
		return nil, false
	}
	start, stop, by := bounds(n, from, to, step)
	count := 0
	if by > 0 && start < stop {
		count = (stop-start-1)/by + 1
	} else if by < 0 && start > stop {
		count = (start-stop-1)/(-by) + 1
	}
	if s, ok := v.(string); ok {
		m.Alloc(count)
		if items == nil && by == 1 {
			return s[start:max(start, stop)], true
		}
		var out []byte
		for i := range count {
			if items == nil {
				out = append(out, s[start+i*by])
			} else {
				out = append(out, items[start+i*by].(string)...)
			}
		}
		return string(out), true
	}
	m.Alloc(16 * count)
	out := make([]Value, count)
	for i := range out {
		out[i] = items[start+i*by]
	}
	if _, ok := v.(*Tuple); ok {
		return &Tuple{Items: out}, true
	}
	return &List{out}, true
}

// bounds is slice(from, to, step).indices(n).
func bounds(n int, from, to, step Value) (start, stop, by int) {
	part := func(v Value, none int) int {
		if v == nil {
			return none
		}
		if u, ok := v.(*Undefined); ok {
			u.Fail()
		}
		i, ok := Int(v)
		if !ok {
			typeError("slice indices must be integers or None or have an __index__ method")
		}
		return int(max(-math.MaxInt32*4, min(i, math.MaxInt32*4)))
	}
	by = part(step, 1)
	if by == 0 {
		Raise("ValueError", "slice step cannot be zero")
	}
	low, high := 0, n
	if by < 0 {
		low, high = -1, n-1
	}
	clip := func(v Value, none int) int {
		if v == nil {
			return none
		}
		i := part(v, 0)
		if i < 0 {
			i += n
		}
		return max(low, min(i, high))
	}
	if by < 0 {
		return clip(from, high), clip(to, low), by
	}
	return clip(from, low), clip(to, high), by
}
