package value

import (
	"slices"
)

const (
	// maxDepth limits nested lists and objects, because each level takes stack.
	maxDepth = 512
	// maxKnownNames limits the names that a decoder remembers.
	maxKnownNames = 4096
	// manyFields is from where on a map finds names that occur twice.
	manyFields = 16
)

// JSONDecoder decodes JSON values that resemble each other, such as the rows of a
// file. It shares the names of their fields. The zero value is ready for use.
//
// It is our own code because a row of messages takes it a third of the time of
// encoding/json/jsontext, the fastest decoder that is strict and keeps the order
// of the keys, and because its errors are for people who wrote the file.
type JSONDecoder struct {
	c      cursor
	depth  int
	left   int             // values that the text may still have
	wanted map[string]bool // nil: all
	known  nameTable
	// values and names are stacks with the parts of the lists and objects that are
	// not complete.
	values []Value
	names  []string
}

// Select limits the fields that [JSONDecoder.Object] returns.
func (d *JSONDecoder) Select(names []string) {
	d.wanted = make(map[string]bool, len(names))
	for _, name := range names {
		d.wanted[name] = true
	}
}

// Object decodes a JSON object from a text that is valid UTF-8. names are all of
// its keys; they must not be changed, and equal lists of names are often the same
// slice. The error is a [*SyntaxError].
func (d *JSONDecoder) Object(text []byte) (fields []Field, names []string, err error) {
	d.start(text)
	if d.c.peek() != '{' {
		return nil, nil, d.c.wanted("an object with the columns of a row")
	}
	v, err := d.object(d.wanted)
	if err == nil {
		err = d.end()
	}
	if err != nil {
		return nil, nil, err
	}
	fields = make([]Field, 0, len(v.nested.names))
	for i, name := range v.nested.names {
		if d.wanted == nil || d.wanted[name] {
			fields = append(fields, Field{Name: name, Value: v.nested.values[i]})
		}
	}
	return fields, v.nested.names, nil
}

func (d *JSONDecoder) value(text []byte) (Value, error) {
	d.start(text)
	v, err := d.next()
	if err != nil {
		return Value{}, err
	}
	return v, d.end()
}

func (d *JSONDecoder) start(text []byte) {
	d.c.text, d.c.at = text, 0
	d.depth, d.left, d.values, d.names = 0, MaxValues, d.values[:0], d.names[:0]
	d.c.blanks()
}

func (d *JSONDecoder) end() error {
	d.c.blanks()
	if d.c.at < len(d.c.text) {
		return d.c.problem("%s follows the value", d.c.found())
	}
	return nil
}

// next reads the value at the position.
func (d *JSONDecoder) next() (Value, error) {
	if d.left--; d.left < 0 {
		return Value{}, d.c.problem("there are more than %d values", MaxValues)
	}
	switch b := d.c.peek(); {
	case b == '"':
		s, err := d.c.string()
		return OfText(s), err
	case b == '{':
		return d.object(nil)
	case b == '[':
		return d.list()
	case b == '-' || isDigit(b):
		return d.c.number()
	case d.c.word("null"):
		d.c.at += len("null")
		return Value{}, nil
	case d.c.word("true"):
		d.c.at += len("true")
		return OfBool(true), nil
	case d.c.word("false"):
		d.c.at += len("false")
		return OfBool(false), nil
	}
	return Value{}, d.c.wanted("a value")
}

// enter goes one level deeper, behind the bracket.
func (d *JSONDecoder) enter() error {
	if d.depth++; d.depth > maxDepth {
		return d.c.problem("lists and objects are nested more than %d deep", maxDepth)
	}
	d.c.at++
	d.c.blanks()
	return nil
}

// leave goes back, behind the closing bracket.
func (d *JSONDecoder) leave() {
	d.c.at++
	d.depth--
}

func (d *JSONDecoder) list() (Value, error) {
	if err := d.enter(); err != nil {
		return Value{}, err
	}
	base := len(d.values)
	for ; d.c.peek() != ']'; d.c.blanks() {
		if len(d.values) > base {
			if err := d.c.comma(']'); err != nil {
				return Value{}, err
			}
		}
		v, err := d.next()
		if err != nil {
			return Value{}, err
		}
		d.values = append(d.values, v)
	}
	d.leave()
	v := OfList(slices.Clone(d.values[base:]))
	d.values = d.values[:base]
	return v, nil
}

// object reads an object. Fields that are not wanted are missing.
func (d *JSONDecoder) object(wanted map[string]bool) (Value, error) {
	if err := d.enter(); err != nil {
		return Value{}, err
	}
	base, nameBase := len(d.values), len(d.names)
	var twice duplicates
	for ; d.c.peek() != '}'; d.c.blanks() {
		if len(d.values) > base {
			if err := d.c.comma('}'); err != nil {
				return Value{}, err
			}
		}
		start := d.c.at
		name, err := d.name()
		if err != nil {
			return Value{}, err
		}
		if twice.found(d.names[nameBase:], name) {
			d.c.at = start
			return Value{}, d.c.problem("the key %q occurs twice", name)
		}
		d.names = append(d.names, name)
		v, err := d.next()
		if err != nil {
			return Value{}, err
		}
		if wanted != nil && !wanted[name] {
			v = Value{}
		}
		d.values = append(d.values, v)
	}
	d.leave()
	v := Value{kind: Object, nested: &nested{names: d.known.shape(d.names[nameBase:]), values: slices.Clone(d.values[base:])}}
	d.values, d.names = d.values[:base], d.names[:nameBase]
	return v, nil
}

// name reads a key, and the colon behind it.
func (d *JSONDecoder) name() (string, error) {
	if d.c.peek() != '"' {
		return "", d.c.wanted("a key in double quotes")
	}
	s, err := d.c.string()
	if err != nil {
		return "", err
	}
	s = d.known.name(s)
	d.c.blanks()
	if d.c.peek() != ':' {
		return "", d.c.wanted("a colon behind a key")
	}
	d.c.at++
	d.c.blanks()
	return s, nil
}

// nameTable shares equal names and equal lists of names.
type nameTable struct {
	names  map[string]string
	shapes [8][]string
	oldest int // the next of shapes to be replaced
}

// name returns the string of an equal name.
func (t *nameTable) name(s string) string {
	if name, ok := t.names[s]; ok {
		return name
	}
	if len(t.names) < maxKnownNames {
		if t.names == nil {
			t.names = map[string]string{}
		}
		t.names[s] = s
	}
	return s
}

// shape returns a slice of its own with these names.
func (t *nameTable) shape(names []string) []string {
	for _, s := range t.shapes {
		if s != nil && slices.Equal(s, names) {
			return s
		}
	}
	s := append(make([]string, 0, len(names)), names...)
	t.shapes[t.oldest] = s
	t.oldest = (t.oldest + 1) % len(t.shapes)
	return s
}

// duplicates finds a name that an object has already.
type duplicates struct{ many map[string]bool }

// found reports whether the name is one of the object's earlier names.
func (d *duplicates) found(earlier []string, name string) bool {
	if len(earlier) < manyFields {
		return slices.Contains(earlier, name)
	}
	if d.many == nil {
		d.many = make(map[string]bool, 2*manyFields)
		for _, n := range earlier {
			d.many[n] = true
		}
	}
	if d.many[name] {
		return true
	}
	d.many[name] = true
	return false
}
