package python

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Str is str(v).
func Str(m *Meter, v Value) string {
	switch v := v.(type) {
	case string:
		return v
	case Markup:
		return string(v)
	case *Undefined:
		return ""
	}
	return Repr(m, v)
}

// Repr is repr(v). What Python prints with an address raises an error.
func Repr(m *Meter, v Value) string {
	var b strings.Builder
	m.repr(&b, v)
	return b.String()
}

func (m *Meter) write(b *strings.Builder, s string) {
	m.Alloc(len(s))
	b.WriteString(s)
}

func (m *Meter) repr(b *strings.Builder, v Value) {
	defer m.Enter()()
	switch v := v.(type) {
	case nil:
		m.write(b, "None")
	case bool:
		if v {
			m.write(b, "True")
		} else {
			m.write(b, "False")
		}
	case int64:
		m.write(b, strconv.FormatInt(v, 10))
	case float64:
		m.write(b, FloatRepr(v))
	case string:
		m.write(b, quote(v))
	case Markup:
		m.write(b, "Markup("+quote(string(v))+")")
	case *Undefined:
		m.write(b, "Undefined")
	case *List:
		m.write(b, "[")
		m.items(b, v.Items)
		m.write(b, "]")
	case *Tuple:
		m.write(b, "(")
		m.items(b, v.Items)
		if len(v.Items) == 1 {
			m.write(b, ",")
		}
		m.write(b, ")")
	case *Dict:
		m.dict(b, v)
	case *View:
		m.write(b, "dict_"+v.Kind+"([")
		for i := range v.Dict.Len() {
			if i > 0 {
				m.write(b, ", ")
			}
			m.repr(b, v.at(i))
		}
		m.write(b, "])")
	case *Range:
		m.write(b, fmt.Sprintf("range(%d, %d", v.Start, v.Stop))
		if v.Step != 1 {
			m.write(b, fmt.Sprintf(", %d", v.Step))
		}
		m.write(b, ")")
	case *Namespace:
		m.write(b, "<Namespace ")
		m.dict(b, v.Fields)
		m.write(b, ">")
	case Object:
		s := v.Text(m)
		if s == "" {
			address(v)
		}
		m.write(b, s)
	default:
		address(v)
	}
}

func address(v Value) {
	Unsupported("printing a value of type %s, which Python prints with its address in memory", TypeName(v))
}

func (m *Meter) items(b *strings.Builder, items []Value) {
	for i, item := range items {
		if i > 0 {
			m.write(b, ", ")
		}
		m.repr(b, item)
	}
}

func (m *Meter) dict(b *strings.Builder, d *Dict) {
	m.write(b, "{")
	for i, k := range d.keys {
		if i > 0 {
			m.write(b, ", ")
		}
		m.repr(b, k)
		m.write(b, ": ")
		m.repr(b, d.values[i])
	}
	m.write(b, "}")
}

// quote is repr of a text.
func quote(s string) string {
	mark := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, "\"") {
		mark = '"'
	}
	var b strings.Builder
	b.WriteByte(mark)
	for _, r := range s {
		switch {
		case r == rune(mark) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString("\\n")
		case r == '\r':
			b.WriteString("\\r")
		case r == '\t':
			b.WriteString("\\t")
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, "\\x%02x", r)
		case r < 0x10000:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			fmt.Fprintf(&b, "\\U%08x", r)
		}
	}
	b.WriteByte(mark)
	return b.String()
}
