package python

import (
	"math/big"
	"slices"
	"strings"
)

// Equal is x == y.
func Equal(m *Meter, x, y Value) bool {
	defer m.Enter()()
	if f, ok := Float(x); ok {
		if g, ok := Float(y); ok {
			if f != f || g != g {
				return false
			}
			return numbers(x, y) == 0
		}
		return false
	}
	if s, ok := Text(x); ok {
		t, ok := Text(y)
		m.Step(len(s) / 256)
		return ok && s == t
	}
	switch x := x.(type) {
	case nil:
		return y == nil
	case *Undefined:
		_, ok := y.(*Undefined)
		return ok
	case *List:
		other, ok := y.(*List)
		return ok && sameItems(m, x.Items, other.Items)
	case *Tuple:
		other, ok := y.(*Tuple)
		return ok && sameItems(m, x.Items, other.Items)
	case *Range:
		other, ok := y.(*Range)
		return ok && x.Len == other.Len && (x.Len == 0 || x.Start == other.Start && (x.Len == 1 || x.Step == other.Step))
	case *Dict:
		other, ok := y.(*Dict)
		if !ok || x.Len() != other.Len() {
			return false
		}
		for i, k := range x.keys {
			v, ok := other.Get(k)
			if !ok || !Equal(m, x.values[i], v) {
				return false
			}
		}
		return true
	case *View:
		if other, ok := y.(*View); ok && x.Kind != "values" && other.Kind != "values" {
			Unsupported("comparing what the methods keys and items of a dict give")
		}
	}
	return x == y // the same object
}

func sameItems(m *Meter, x, y []Value) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if !Equal(m, x[i], y[i]) {
			return false
		}
	}
	return true
}

// numbers compares two of them. An integer may have more digits than a float.
func numbers(x, y Value) int {
	i, xi := Int(x)
	j, yi := Int(y)
	if xi && yi {
		switch {
		case i < j:
			return -1
		case i > j:
			return 1
		}
		return 0
	}
	number := func(v Value) *big.Float {
		if f, ok := v.(float64); ok {
			return new(big.Float).SetFloat64(f)
		}
		i, _ := Int(v)
		return new(big.Float).SetInt64(i)
	}
	return number(x).Cmp(number(y))
}

// Less is x < y, for sorting; op is how an error names it.
func Less(m *Meter, op string, x, y Value) bool {
	c, ok := order(m, op, x, y)
	return ok && c < 0
}

// order compares two values; false if they have no order, as NaN.
func order(m *Meter, op string, x, y Value) (int, bool) {
	defer m.Enter()()
	for _, v := range []Value{x, y} {
		if u, ok := v.(*Undefined); ok {
			u.Fail()
		}
	}
	if f, ok := Float(x); ok {
		if g, ok := Float(y); ok {
			if f != f || g != g {
				return 0, false
			}
			return numbers(x, y), true
		}
	}
	if s, ok := Text(x); ok {
		if t, ok := Text(y); ok {
			m.Step(min(len(s), len(t)) / 256)
			return strings.Compare(s, t), true // UTF-8 sorts as its code points
		}
	}
	var a, b []Value
	switch x := x.(type) {
	case *List:
		if y, ok := y.(*List); ok {
			a, b = x.Items, y.Items
		}
	case *Tuple:
		if y, ok := y.(*Tuple); ok {
			a, b = x.Items, y.Items
		}
	}
	if a == nil && b == nil && TypeName(x) != TypeName(y) || !slices.Contains([]string{"list", "tuple"}, TypeName(x)) || TypeName(x) != TypeName(y) {
		typeError("'%s' not supported between instances of '%s' and '%s'", op, TypeName(x), TypeName(y))
	}
	for i := range min(len(a), len(b)) {
		if !Equal(m, a[i], b[i]) {
			return order(m, op, a[i], b[i])
		}
	}
	return len(a) - len(b), true
}

// Compare is x op y for ==, !=, <, <=, >, >=, "in" and "not in".
func Compare(m *Meter, op string, x, y Value) bool {
	switch op {
	case "==":
		return Equal(m, x, y)
	case "!=":
		return !Equal(m, x, y)
	case "in":
		return contains(m, y, x)
	case "not in":
		return !contains(m, y, x)
	}
	c, ok := order(m, op, x, y)
	switch {
	case !ok:
		return false
	case op == "<":
		return c < 0
	case op == "<=":
		return c <= 0
	case op == ">":
		return c > 0
	}
	return c >= 0
}

// contains is x in v.
func contains(m *Meter, v, x Value) bool {
	if s, ok := Text(v); ok {
		t, ok := Text(x)
		if !ok {
			typeError("'in <string>' requires string as left operand, not %s", TypeName(x))
		}
		m.Step(1 + len(s)/64)
		return strings.Contains(s, t)
	}
	switch v := v.(type) {
	case *Dict:
		_, ok := v.Get(x)
		return ok
	case *View:
		if v.Kind == "keys" {
			_, ok := v.Dict.Get(x)
			return ok
		}
	case *Undefined, *List, *Tuple, *Range, *Iter:
	default:
		typeError("argument of type '%s' is not iterable", TypeName(v))
	}
	it := Iterate(m, v)
	for item, ok := it.Next(); ok; item, ok = it.Next() {
		if item == x && comparable(x) || Equal(m, item, x) {
			return true
		}
	}
	return false
}

// comparable reports whether Go compares a value by its identity, as the
// operator in does first; NaN is not itself.
func comparable(v Value) bool {
	switch v.(type) {
	case *List, *Dict, *Tuple, *Namespace:
		return true
	}
	return false
}
