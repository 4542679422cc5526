package python

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// Value is a value of Python.
type Value = any

// Markup is a text that the filters safe and escape made. It prints as it is,
// and what is added to it is escaped. Its methods, and some filters on it, are
// not supported.
type Markup string

// List is a list.
type List struct{ Items []Value }

// Tuple is a tuple.
type Tuple struct {
	Items []Value
	Names []string // of a named tuple
}

// NewList is a list of the items.
func NewList(items ...Value) *List { return &List{items} }

// NewTuple is a tuple of the items.
func NewTuple(items ...Value) *Tuple { return &Tuple{Items: items} }

// Undefined stands for what is not there.
type Undefined struct {
	Message string
	Kind    string // of the error that its use raises; UndefinedError if empty
}

// Fail raises the error of an undefined value that is used.
func (u *Undefined) Fail() {
	kind := u.Kind
	if kind == "" {
		kind = "UndefinedError"
	}
	Raise(kind, "%s", u.Message)
}

// Namespace is what namespace() makes: the one value that templates change.
type Namespace struct{ Fields *Dict }

// Range is what range() makes.
type Range struct{ Start, Stop, Step, Len int64 }

// Iter gives its values once. Name is that of its type.
type Iter struct {
	Name string
	Next func() (Value, bool)
	// depth is how many others stand behind it, each of which costs stack.
	depth int
}

// Behind is an Iter that takes its values from another one.
func (it *Iter) Behind(name string, next func() (Value, bool)) *Iter {
	if it.depth >= MaxDepth {
		Raise("RecursionError", "more than %d filters wait for each other's items", MaxDepth)
	}
	return &Iter{Name: name, Next: next, depth: it.depth + 1}
}

// View is dict.keys(), dict.values() or dict.items().
type View struct {
	Dict *Dict
	Kind string
}

// Callable is what a template may call.
type Callable interface {
	Call(m *Meter, a Args) Value
}

// Object is a value with attributes of its own.
type Object interface {
	TypeName() string
	Attr(m *Meter, name string) (Value, bool)
	// Text is what it prints as; "" if that is an address.
	Text(m *Meter) string
}

// Func is a function, or a method of a value.
type Func struct {
	Name string
	Fn   func(m *Meter, a Args) Value
}

// Call calls the function.
func (f *Func) Call(m *Meter, a Args) Value { return f.Fn(m, a) }

// TypeName is the name of a value's type.
func TypeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case Markup:
		return "Markup"
	case *List:
		return "list"
	case *Tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *View:
		return "dict_" + v.Kind
	case *Range:
		return "range"
	case *Iter:
		return v.Name
	case *Undefined:
		return "Undefined"
	case *Namespace:
		return "Namespace"
	case Object:
		return v.TypeName()
	}
	return "function"
}

// Truthy is bool(v).
func Truthy(v Value) bool {
	switch v := v.(type) {
	case nil, *Undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	}
	if n, ok := Length(v); ok {
		return n > 0
	}
	return true
}

// Length is len(v); false if v has none.
func Length(v Value) (int, bool) {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v), true
	case Markup:
		return utf8.RuneCountInString(string(v)), true
	case *List:
		return len(v.Items), true
	case *Tuple:
		return len(v.Items), true
	case *Dict:
		return v.Len(), true
	case *View:
		return v.Dict.Len(), true
	case *Range:
		return int(v.Len), true
	case *Undefined:
		return 0, true
	case interface{ Length(m *Meter) int }:
		return v.Length(nil), true
	}
	return 0, false
}

// Text is the text of a str, which a Markup is too; false for anything else.
func Text(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Markup:
		return string(v), true
	}
	return "", false
}

// Int is the integer that a value is, with booleans as 0 and 1.
func Int(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

// Float is the number that a value is.
func Float(v Value) (float64, bool) {
	if f, ok := v.(float64); ok {
		return f, true
	}
	i, ok := Int(v)
	return float64(i), ok
}

// Items are all that a value gives when it is iterated over.
func Items(m *Meter, v Value) []Value {
	var out []Value
	it := Iterate(m, v)
	if n, ok := Length(v); ok {
		m.Alloc(16 * n)
		out = make([]Value, 0, n)
	}
	for x, ok := it.Next(); ok; x, ok = it.Next() {
		m.Alloc(16)
		out = append(out, x)
	}
	return out
}

// Iterate is iter(v).
func Iterate(m *Meter, v Value) *Iter {
	switch v := v.(type) {
	case *Iter:
		return v
	case string:
		return runes(m, v)
	case Markup:
		return runes(m, string(v))
	case *List:
		return over(m, "list_iterator", v.Items)
	case *Tuple:
		return over(m, "tuple_iterator", v.Items)
	case *Dict:
		return over(m, "dict_keyiterator", v.keys)
	case *View:
		i := 0
		return &Iter{Name: "dict_" + v.Kind + "iterator", Next: func() (Value, bool) {
			m.Step(1)
			if i >= v.Dict.Len() {
				return nil, false
			}
			i++
			return v.at(i - 1), true
		}}
	case *Range:
		i := int64(0)
		return &Iter{Name: "range_iterator", Next: func() (Value, bool) {
			m.Step(1)
			if i >= v.Len {
				return nil, false
			}
			i++
			return v.Start + (i-1)*v.Step, true
		}}
	case *Undefined:
		return over(m, "generator", nil)
	}
	typeError("'%s' object is not iterable", TypeName(v))
	return nil
}

// CanIterate reports whether Iterate finds a way.
func CanIterate(v Value) bool {
	switch v.(type) {
	case *Iter, string, Markup, *List, *Tuple, *Dict, *View, *Range, *Undefined:
		return true
	}
	return false
}

func over(m *Meter, name string, items []Value) *Iter {
	i := 0
	return &Iter{Name: name, Next: func() (Value, bool) {
		m.Step(1)
		if i >= len(items) {
			return nil, false
		}
		i++
		return items[i-1], true
	}}
}

func runes(m *Meter, s string) *Iter {
	return &Iter{Name: "str_iterator", Next: func() (Value, bool) {
		m.Step(1)
		if s == "" {
			return nil, false
		}
		_, n := utf8.DecodeRuneInString(s)
		c := s[:n]
		s = s[n:]
		return c, true
	}}
}

func (v *View) at(i int) Value {
	switch v.Kind {
	case "keys":
		return v.Dict.keys[i]
	case "values":
		return v.Dict.values[i]
	}
	return NewTuple(v.Dict.keys[i], v.Dict.values[i])
}

// FloatRepr is repr of a float.
func FloatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == 0 || math.Abs(f) >= 1e-4 && math.Abs(f) < 1e16:
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if f == math.Trunc(f) {
			s += ".0"
		}
		return s
	}
	return strconv.FormatFloat(f, 'e', -1, 64)
}
