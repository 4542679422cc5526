package value

import (
	"fmt"
	"iter"
	"slices"
)

// Kind says what a [Value] holds.
type Kind uint8

// The kinds.
const (
	// Missing is an absent key, a null, or an empty cell of a CSV file or a sheet.
	Missing Kind = iota
	Text
	Number
	Bool
	List
	Object
	Bytes
)

// MaxValues is the largest number of values that a cell has with all its parts.
// Readers refuse larger ones, because small files can claim to hold them.
const MaxValues = 1 << 22

// String names the kind as an error does: "a list".
func (k Kind) String() string {
	switch k {
	case Missing:
		return "no value"
	case Text:
		return "text"
	case Number:
		return "a number"
	case Bool:
		return "true or false"
	case List:
		return "a list"
	case Object:
		return "an object"
	case Bytes:
		return "bytes"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Value is one cell of a data set, or a part of one. It never changes. The zero
// Value is missing.
type Value struct {
	kind   Kind
	text   string // of Text, Number, Bool and Bytes
	nested *nested
}

// nested has the values of a list, or of an object with their names.
type nested struct {
	names  []string // nil for a list
	values []Value
}

// Field is a named value.
type Field struct {
	Name  string
	Value Value
}

// OfText returns a text, which may be empty.
func OfText(s string) Value { return Value{kind: Text, text: s} }

// OfNumber returns a number in the form in which it is written, such as 1.50.
func OfNumber(written string) Value { return Value{kind: Number, text: written} }

// OfBool returns true or false.
func OfBool(b bool) Value {
	if b {
		return Value{kind: Bool, text: "true"}
	}
	return Value{kind: Bool, text: "false"}
}

// OfBytes returns bytes that are no text. The Value has a copy of them.
func OfBytes(b []byte) Value { return Value{kind: Bytes, text: string(b)} }

// OfList returns a list. The caller gives the slice away.
func OfList(values []Value) Value { return Value{kind: List, nested: &nested{values: values}} }

// OfObject returns an object with fields in this order. If a name occurs twice,
// [Value.Get] returns the first one.
func OfObject(fields []Field) Value {
	n := &nested{names: make([]string, len(fields)), values: make([]Value, len(fields))}
	for i, f := range fields {
		n.names[i], n.values[i] = f.Name, f.Value
	}
	return Value{kind: Object, nested: n}
}

// Kind says what the value holds.
func (v Value) Kind() Kind { return v.kind }

// IsMissing reports whether there is no value.
func (v Value) IsMissing() bool { return v.kind == Missing }

// IsTrue reports whether the value is the boolean true.
func (v Value) IsTrue() bool { return v.kind == Bool && v.text == "true" }

// Bytes returns a copy of the bytes of a value of the kind [Bytes], else nil.
func (v Value) Bytes() []byte {
	if v.kind != Bytes {
		return nil
	}
	return []byte(v.text)
}

// Len is the number of values in a list or an object, else 0.
func (v Value) Len() int {
	if v.nested == nil {
		return 0
	}
	return len(v.nested.values)
}

// Items iterates over the values of a list; over nothing if it is no list.
func (v Value) Items() iter.Seq2[int, Value] {
	if v.kind != List {
		return func(func(int, Value) bool) {}
	}
	return slices.All(v.nested.values)
}

// Fields iterates over an object in the order of the file; over nothing if it is
// no object.
func (v Value) Fields() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.kind != Object {
			return
		}
		for i, name := range v.nested.names {
			if !yield(name, v.nested.values[i]) {
				return
			}
		}
	}
}

// Get returns the field of an object. The second result is false if there is no
// such key; for a null it is true, and the value is missing.
func (v Value) Get(name string) (Value, bool) {
	if v.kind == Object {
		if i := slices.Index(v.nested.names, name); i >= 0 {
			return v.nested.values[i], true
		}
	}
	return Value{}, false
}
