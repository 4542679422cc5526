package pystr

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// spec is how a value is laid out.
type spec struct {
	fill             string
	align            byte // '<', '>', '^', '=' or 0
	sign             byte // '+', ' ' or 0
	alternate        bool
	group            string
	width, precision int // -1 without one
	verb             byte
}

// maxWidth bounds widths and precisions.
const maxWidth = 1 << 20

func valueError(format string, args ...any) { python.Raise("ValueError", format, args...) }

// Percent is s % v.
func Percent(m *python.Meter, s string, v python.Value) string {
	args, single := []python.Value{v}, true
	if t, ok := v.(*python.Tuple); ok {
		args, single = t.Items, false
	}
	next := func() python.Value {
		if len(args) == 0 {
			python.Raise("TypeError", "not enough arguments for format string")
		}
		out := args[0]
		args = args[1:]
		return out
	}
	named := false
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "%")
		m.Alloc(len(before))
		b.WriteString(before)
		if !ok {
			break
		}
		var value python.Value
		key := false
		if strings.HasPrefix(rest, "(") {
			depth, i := 1, 1
			for ; i < len(rest) && depth > 0; i++ {
				switch rest[i] {
				case '(':
					depth++
				case ')':
					depth--
				}
			}
			if depth > 0 {
				valueError("incomplete format key")
			}
			d, isDict := v.(*python.Dict)
			if !isDict {
				python.Raise("TypeError", "format requires a mapping")
			}
			var found bool
			if value, found = d.Get(rest[1 : i-1]); !found {
				python.Raise("KeyError", "%s", python.Repr(m, rest[1:i-1]))
			}
			key, named, rest = true, true, rest[i:]
		}
		f := spec{fill: " ", align: '>', width: -1, precision: -1}
		zero := false
		for ; rest != "" && strings.IndexByte("-+ #0", rest[0]) >= 0; rest = rest[1:] {
			switch rest[0] {
			case '-':
				f.align = '<'
			case '+':
				f.sign = '+'
			case ' ':
				if f.sign == 0 {
					f.sign = ' '
				}
			case '#':
				f.alternate = true
			case '0':
				zero = true
			}
		}
		star := func() int {
			if strings.HasPrefix(rest, "*") {
				rest = rest[1:]
				n := whole("*", next())
				if n > maxWidth || n < -maxWidth {
					python.Unsupported("a width of more than %d", maxWidth)
				}
				return int(n)
			}
			n := 0
			for ; rest != "" && digit(rest[0]); rest = rest[1:] {
				if n = n*10 + int(rest[0]-'0'); n > maxWidth {
					python.Unsupported("a width of more than %d", maxWidth)
				}
			}
			return n
		}
		if f.width = star(); f.width < 0 {
			f.align, f.width = '<', -f.width
		}
		if strings.HasPrefix(rest, ".") {
			rest = rest[1:]
			f.precision = max(star(), 0)
		}
		rest = strings.TrimLeft(rest, "hlL")
		if rest == "" {
			valueError("incomplete format")
		}
		f.verb = rest[0]
		s = rest[1:]
		if f.verb == '%' {
			b.WriteByte('%')
			continue
		}
		if !key {
			value = next()
		}
		if zero && f.align != '<' && strings.IndexByte("diouxXeEfFgG", f.verb) >= 0 {
			f.fill, f.align = "0", '='
		}
		out := f.percent(m, value)
		m.Alloc(len(out))
		b.WriteString(out)
	}
	_, isDict := v.(*python.Dict)
	_, isList := v.(*python.List)
	if len(args) > 0 && !named && !(single && (isDict || isList)) {
		python.Raise("TypeError", "not all arguments converted during string formatting")
	}
	return b.String()
}

// percent lays out one value of a format with %.
func (f spec) percent(m *python.Meter, v python.Value) string {
	switch f.verb {
	case 's', 'r', 'a':
		var s string
		switch f.verb {
		case 's':
			s = python.Str(m, v)
		case 'r':
			s = python.Repr(m, v)
		default:
			s = ascii(python.Repr(m, v))
		}
		return f.text(m, s)
	case 'c':
		f.precision = -1
		if s, ok := v.(string); ok && utf8.RuneCountInString(s) == 1 {
			return f.text(m, s)
		}
		i, ok := python.Int(v)
		if !ok || i < 0 || i > utf8.MaxRune {
			python.Raise("TypeError", "%%c requires int or char")
		}
		return f.text(m, string(rune(i)))
	case 'd', 'i', 'u', 'o', 'x', 'X':
		if u, ok := v.(*python.Undefined); ok {
			u.Fail()
		}
		i, ok := python.Int(v)
		if _, isFloat := v.(float64); isFloat && strings.IndexByte("diu", f.verb) >= 0 {
			i, ok = ToInt(v)
		}
		if !ok {
			python.Raise("TypeError", "%%%c format: a real number is required, not %s", f.verb, python.TypeName(v))
		}
		if f.verb == 'i' || f.verb == 'u' {
			f.verb = 'd'
		}
		least := f.precision
		f.precision = -1
		return f.whole(m, i, least)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if u, ok := v.(*python.Undefined); ok {
			u.Fail()
		}
		x, ok := python.Float(v)
		if !ok {
			python.Raise("TypeError", "must be real number, not %s", python.TypeName(v))
		}
		return f.float(m, x)
	}
	valueError("unsupported format character '%c' (0x%x)", f.verb, f.verb)
	return ""
}

// ascii is repr without the characters beyond ASCII.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x80:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, "\\x%02x", r)
		case r < 0x10000:
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			fmt.Fprintf(&b, "\\U%08x", r)
		}
	}
	return b.String()
}

// text lays out a text, cut to the precision.
func (f spec) text(m *python.Meter, s string) string {
	if f.precision >= 0 {
		s = s[:offset(s, f.precision)]
	}
	return f.place(m, "", s)
}

// place fills up to the width. sign is what stands in front of the fill if it
// is aligned with "=".
func (f spec) place(m *python.Meter, sign, s string) string {
	missing := int64(f.width - utf8.RuneCountInString(sign) - utf8.RuneCountInString(s))
	switch f.align {
	case '<':
		return sign + s + pad(m, f.fill, missing)
	case '^':
		return pad(m, f.fill, missing/2) + sign + s + pad(m, f.fill, missing-missing/2)
	case '=':
		return sign + pad(m, f.fill, missing) + s
	}
	return pad(m, f.fill, missing) + sign + s
}

// prefix is the sign of a number.
func (f spec) prefix(negative bool) string {
	switch {
	case negative:
		return "-"
	case f.sign != 0:
		return string(f.sign)
	}
	return ""
}

// whole lays out an integer of at least so many digits.
func (f spec) whole(m *python.Meter, i int64, least int) string {
	base := map[byte]int{'o': 8, 'x': 16, 'X': 16, 'b': 2}[f.verb]
	if base == 0 {
		base = 10
	}
	digits := strings.TrimPrefix(strconv.FormatInt(i, base), "-")
	digits = pad(m, "0", int64(least-len(digits))) + digits
	sign := f.prefix(i < 0)
	if f.alternate && base != 10 {
		sign += "0" + string(f.verb)
	}
	if f.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	every := 3
	if base != 10 {
		every = 4
	}
	return f.place(m, sign, grouped(digits, f.group, every))
}

// grouped puts a mark between groups of digits.
func grouped(digits, mark string, every int) string {
	if mark == "" {
		return digits
	}
	head, tail := digits, ""
	if i := strings.IndexAny(digits, ".e"); i >= 0 {
		head, tail = digits[:i], digits[i:]
	}
	var b strings.Builder
	for i := range len(head) {
		if i > 0 && (len(head)-i)%every == 0 {
			b.WriteString(mark)
		}
		b.WriteByte(head[i])
	}
	return b.String() + tail
}

// float lays out a float.
func (f spec) float(m *python.Meter, x float64) string {
	precision := f.precision
	if precision < 0 {
		precision = 6
	}
	verb := f.verb | 0x20
	var s string
	switch abs := math.Abs(x); {
	case math.IsNaN(x):
		s = "nan"
	case math.IsInf(x, 0):
		s = "inf"
	case verb == 'g':
		s = strconv.FormatFloat(abs, 'g', max(precision, 1), 64)
		if f.alternate {
			python.Unsupported("the format #g")
		}
	default:
		m.Alloc(precision)
		s = strconv.FormatFloat(abs, verb, precision, 64)
		if f.alternate && precision == 0 {
			python.Unsupported("the format # of a float without digits behind the point")
		}
	}
	if f.verb != verb {
		s = strings.ToUpper(s)
	}
	return f.place(m, f.prefix(math.Signbit(x) && !math.IsNaN(x)), grouped(s, f.group, 3))
}
