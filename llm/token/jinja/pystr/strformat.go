package pystr

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// Lookup finds what a field of str.format names below its first value.
type Lookup struct {
	Attr func(v python.Value, name string) python.Value
	Item func(v, index python.Value) python.Value
}

// formatter is a call of str.format.
type formatter struct {
	m      *python.Meter
	args   python.Args
	lookup Lookup
	auto   int
	manual bool
}

// Format is s.format(...).
func Format(m *python.Meter, s string, a python.Args, lookup Lookup) string {
	f := &formatter{m: m, args: a, lookup: lookup}
	return f.format(s, 2)
}

func (f *formatter) format(s string, depth int) string {
	if depth < 0 {
		valueError("Max string recursion exceeded")
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			i = len(s)
		}
		f.m.Alloc(i)
		b.WriteString(s[:i])
		if s = s[i:]; s == "" {
			break
		}
		if len(s) > 1 && s[0] == s[1] {
			b.WriteByte(s[0])
			s = s[2:]
			continue
		}
		if s[0] == '}' {
			valueError("Single '}' encountered in format string")
		}
		nesting, end := 0, -1
		for j := range len(s) {
			if s[j] == '{' {
				nesting++
			} else if s[j] == '}' {
				if nesting--; nesting == 0 {
					end = j
					break
				}
			}
		}
		if end < 0 {
			valueError("expected '}' before end of string")
		}
		out := f.field(s[1:end], depth)
		f.m.Alloc(len(out))
		b.WriteString(out)
		s = s[end+1:]
	}
	return b.String()
}

func (f *formatter) field(s string, depth int) string {
	name, layout := s, ""
	square := 0
	for i := range len(s) {
		switch {
		case s[i] == '[':
			square++
		case s[i] == ']':
			square--
		case square == 0 && (s[i] == ':' || s[i] == '!'):
			name, layout = s[:i], s[i:]
		default:
			continue
		}
		if layout != "" {
			break
		}
	}
	conversion := byte(0)
	if strings.HasPrefix(layout, "!") {
		if len(layout) < 2 || len(layout) > 2 && layout[2] != ':' {
			valueError("expected ':' after conversion specifier")
		}
		conversion, layout = layout[1], layout[2:]
	}
	v := f.value(name)
	switch conversion {
	case 0:
	case 's':
		v = python.Str(f.m, v)
	case 'r':
		v = python.Repr(f.m, v)
	case 'a':
		v = ascii(python.Repr(f.m, v))
	default:
		valueError("Unknown conversion specifier '%c'", conversion)
	}
	return laidOut(f.m, v, f.format(strings.TrimPrefix(layout, ":"), depth-1))
}

// value is what the name of a field stands for.
func (f *formatter) value(name string) python.Value {
	first := name
	if i := strings.IndexAny(name, ".["); i >= 0 {
		first = name[:i]
	}
	rest := name[len(first):]
	var v python.Value
	if at, ok := ParseInt(first, 10); ok || first == "" {
		if first == "" {
			at = int64(f.auto)
			f.auto++
		} else {
			f.manual = true
		}
		if f.manual && f.auto > 0 {
			valueError("cannot switch between manual field specification and automatic field numbering")
		}
		if at < 0 || at >= int64(len(f.args.Positional)) {
			python.Raise("IndexError", "Replacement index %d out of range for positional args tuple", at)
		}
		v = f.args.Positional[at]
	} else {
		found := false
		for i, n := range f.args.Names {
			if n == first {
				v, found = f.args.Named[i], true
			}
		}
		if !found {
			python.Raise("KeyError", "%s", python.Repr(f.m, first))
		}
	}
	for rest != "" {
		if rest[0] == '.' {
			n := strings.IndexAny(rest[1:], ".[") + 1
			if n == 0 {
				n = len(rest)
			}
			if n == 1 {
				valueError("Empty attribute in format string")
			}
			v = f.lookup.Attr(v, rest[1:n])
			rest = rest[n:]
			continue
		}
		n := strings.IndexByte(rest, ']')
		if rest[0] != '[' || n < 2 {
			valueError("Missing ']' in format string")
		}
		if at, ok := ParseInt(rest[1:n], 10); ok {
			v = f.lookup.Item(v, at)
		} else {
			v = f.lookup.Item(v, rest[1:n])
		}
		rest = rest[n+1:]
	}
	return v
}

// laidOut is format(v, layout).
func laidOut(m *python.Meter, v python.Value, layout string) string {
	if layout == "" {
		return python.Str(m, v)
	}
	f := parseSpec(layout)
	if i, ok := python.Int(v); ok {
		switch f.verb {
		case 0, 'd', 'n', 'b', 'o', 'x', 'X':
			if f.precision >= 0 {
				valueError("Precision not allowed in integer format specifier")
			}
			return f.number().whole(m, i, 0)
		case 'c':
			python.Unsupported("the format c of an integer")
		}
		v = float64(i)
	}
	switch v := v.(type) {
	case float64:
		f = f.number()
		switch f.verb {
		case 0:
			if f.precision >= 0 {
				python.Unsupported("a precision of a float without a letter behind it")
			}
			return f.place(m, f.prefix(math.Signbit(v)), grouped(python.FloatRepr(math.Abs(v)), f.group, 3))
		case '%':
			f.verb = 'f'
			out := f
			out.width = -1
			s := strings.TrimPrefix(out.float(m, v*100), f.prefix(math.Signbit(v)))
			return f.place(m, f.prefix(math.Signbit(v)), s+"%")
		case 'e', 'E', 'f', 'F', 'g', 'G':
			return f.float(m, v)
		}
		valueError("Unknown format code '%c' for object of type 'float'", f.verb)
	case string:
		if f.verb != 0 && f.verb != 's' {
			valueError("Unknown format code '%c' for object of type 'str'", f.verb)
		}
		if f.align == '=' || f.sign != 0 || f.alternate || f.group != "" {
			valueError("this format is not allowed for a str")
		}
		if f.align == 0 {
			f.align = '<'
		}
		return f.text(m, v)
	case *python.Undefined, python.Markup:
		python.Unsupported("a format of a value of type %s", python.TypeName(v))
	}
	python.Raise("TypeError", "unsupported format string passed to %s.__format__", python.TypeName(v))
	return ""
}

// number has the alignment of numbers, unless another is given.
func (f spec) number() spec {
	if f.align == 0 {
		f.align = '>'
	}
	if f.fill == "0" && f.group != "" && f.align == '=' {
		python.Unsupported("a format with zeros in front and groups of digits")
	}
	return f
}

func parseSpec(s string) spec {
	f := spec{fill: " ", width: -1, precision: -1}
	if n := size(s); n < len(s) && strings.IndexByte("<>^=", s[n]) >= 0 {
		f.fill, f.align, s = s[:n], s[n], s[n+1:]
	} else if strings.IndexByte("<>^=", s[0]) >= 0 {
		f.align, s = s[0], s[1:]
	}
	take := func(set string) byte {
		if s != "" && s[0] < utf8.RuneSelf && strings.IndexByte(set, s[0]) >= 0 {
			c := s[0]
			s = s[1:]
			return c
		}
		return 0
	}
	if c := take("+- "); c != '-' {
		f.sign = c
	}
	f.alternate = take("#") != 0
	if take("0") != 0 && f.align == 0 {
		f.fill, f.align = "0", '='
	}
	digits := func() int {
		n := 0
		for s != "" && digit(s[0]) {
			if n = n*10 + int(s[0]-'0'); n > maxWidth {
				python.Unsupported("a width of more than %d", maxWidth)
			}
			s = s[1:]
		}
		return n
	}
	f.width = digits()
	if c := take(",_"); c != 0 {
		f.group = string(c)
	}
	if take(".") != 0 {
		if s == "" || !digit(s[0]) {
			valueError("Format specifier missing precision")
		}
		f.precision = digits()
	}
	if len(s) > 1 {
		valueError("Invalid format specifier")
	}
	if s != "" {
		f.verb = s[0]
	}
	return f
}
