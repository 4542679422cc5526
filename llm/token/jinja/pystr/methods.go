package pystr

import (
	"strings"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// method is a method of str.
type method func(m *python.Meter, s string, a python.Args) python.Value

// Refused are the methods of str that are not supported, with the reason.
var Refused = map[string]string{
	"encode":    "there are no bytes in templates",
	"maketrans": "there are no translation tables",
	"translate": "there are no translation tables",
}

// Method is a method of a text; nil if str has none of this name.
func Method(s, name string) *python.Func {
	fn := methods[name]
	if fn == nil {
		return nil
	}
	return &python.Func{Name: name, Fn: func(m *python.Meter, a python.Args) python.Value {
		m.Step(1 + len(s)/64)
		return fn(m, s, a)
	}}
}

var methods = map[string]method{
	"upper":        changed("upper", Upper),
	"lower":        changed("lower", Lower),
	"capitalize":   changed("capitalize", Capitalize),
	"title":        changed("title", title),
	"swapcase":     changed("swapcase", swapcase),
	"casefold":     changed("casefold", casefold),
	"isalnum":      is("isalnum", all(func(r rune) bool { return isAlpha(r) || isNumeric(r) })),
	"isalpha":      is("isalpha", all(isAlpha)),
	"isascii":      is("isascii", func(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 }),
	"isdecimal":    is("isdecimal", all(isDecimal)),
	"isdigit":      is("isdigit", all(isDigit)),
	"isidentifier": is("isidentifier", isIdentifier),
	"islower":      is("islower", IsLower),
	"isnumeric":    is("isnumeric", all(isNumeric)),
	"isprintable":  is("isprintable", isPrintable),
	"isspace":      is("isspace", all(isSpace)),
	"istitle":      is("istitle", isTitle),
	"isupper":      is("isupper", IsUpper),
	"strip":        stripped("strip", true, true),
	"lstrip":       stripped("lstrip", true, false),
	"rstrip":       stripped("rstrip", false, true),
	"removeprefix": func(_ *python.Meter, s string, a python.Args) python.Value {
		return strings.TrimPrefix(s, texts("removeprefix", a, 1)[0])
	},
	"removesuffix": func(_ *python.Meter, s string, a python.Args) python.Value {
		return strings.TrimSuffix(s, texts("removesuffix", a, 1)[0])
	},
	"startswith": affix("startswith", strings.HasPrefix),
	"endswith":   affix("endswith", strings.HasSuffix),
	"find":       search("find", strings.Index, false),
	"rfind":      search("rfind", strings.LastIndex, false),
	"index":      search("index", strings.Index, true),
	"rindex":     search("rindex", strings.LastIndex, true),
	"count":      count,
	"split":      split,
	"rsplit":     rsplit,
	"splitlines": splitlines,
	"partition": func(_ *python.Meter, s string, a python.Args) python.Value {
		sep := separator("partition", a)
		if before, after, ok := strings.Cut(s, sep); ok {
			return python.NewTuple(before, sep, after)
		}
		return python.NewTuple(s, "", "")
	},
	"rpartition": func(_ *python.Meter, s string, a python.Args) python.Value {
		sep := separator("rpartition", a)
		if i := strings.LastIndex(s, sep); i >= 0 {
			return python.NewTuple(s[:i], sep, s[i+len(sep):])
		}
		return python.NewTuple("", "", s)
	},
	"replace": replace,
	"join": func(m *python.Meter, s string, a python.Args) python.Value {
		return Join(m, s, a.Only("join", 1, 1)[0])
	},
	"center":     padded("center"),
	"ljust":      padded("ljust"),
	"rjust":      padded("rjust"),
	"zfill":      zfill,
	"expandtabs": expandtabs,
}

// text is an argument that has to be a str.
func text(function string, v python.Value) string {
	s, ok := python.Text(v)
	if !ok {
		python.Raise("TypeError", "%s() takes a str, not %s", function, python.TypeName(v))
	}
	return s
}

// whole is an argument that has to be an integer.
func whole(function string, v python.Value) int64 {
	i, ok := python.Int(v)
	if !ok {
		python.Raise("TypeError", "%s(): '%s' object cannot be interpreted as an integer", function, python.TypeName(v))
	}
	return i
}

// texts are n arguments that have to be str.
func texts(function string, a python.Args, n int) []string {
	out := make([]string, n)
	for i, v := range a.Only(function, n, n) {
		out[i] = text(function, v)
	}
	return out
}

func separator(function string, a python.Args) string {
	sep := texts(function, a, 1)[0]
	if sep == "" {
		python.Raise("ValueError", "empty separator")
	}
	return sep
}

func changed(name string, fn func(string) string) method {
	return func(m *python.Meter, s string, a python.Args) python.Value {
		a.Only(name, 0, 0)
		m.Alloc(3 * len(s))
		return fn(s)
	}
}

func is(name string, fn func(string) bool) method {
	return func(_ *python.Meter, s string, a python.Args) python.Value {
		a.Only(name, 0, 0)
		return fn(s)
	}
}

func stripped(name string, left, right bool) method {
	return func(_ *python.Meter, s string, a python.Args) python.Value {
		chars := python.Value(nil)
		if given := a.Only(name, 0, 1); len(given) == 1 {
			chars = given[0]
		}
		return strip(name, s, chars, left, right)
	}
}

// Strip is str.strip(chars); chars may be None.
func Strip(s string, chars python.Value) string { return strip("strip", s, chars, true, true) }

func strip(name, s string, chars python.Value, left, right bool) string {
	cut := isSpace
	if chars != nil {
		set := map[rune]bool{}
		for _, r := range text(name, chars) {
			set[r] = true
		}
		cut = func(r rune) bool { return set[r] }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s
}

// window is s[from:to] with the positions given behind the first argument, and
// where it begins. ok is false if it begins behind the end of s.
func window(name, s string, given []python.Value) (part string, from int, ok bool) {
	n := utf8.RuneCountInString(s)
	limit := func(i, none int) int {
		if len(given) <= i || given[i] == nil {
			return none
		}
		at := whole(name, given[i])
		if at < 0 {
			at = max(at+int64(n), 0)
		}
		return int(min(at, int64(n)+1))
	}
	from, to := limit(1, 0), min(limit(2, n), n)
	if from > n || from > to {
		return "", 0, false
	}
	return s[offset(s, from):offset(s, to)], from, true
}

// offset is the byte at which the n-th code point begins.
func offset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func affix(name string, has func(s, affix string) bool) method {
	return func(_ *python.Meter, s string, a python.Args) python.Value {
		given := a.Only(name, 1, 3)
		part, _, ok := window(name, s, given)
		if t, isTuple := given[0].(*python.Tuple); isTuple {
			for _, item := range t.Items {
				if ok && has(part, text(name, item)) {
					return true
				}
			}
			return false
		}
		return has(part, text(name, given[0])) && ok
	}
}

func search(name string, index func(s, part string) int, strict bool) method {
	return func(_ *python.Meter, s string, a python.Args) python.Value {
		given := a.Only(name, 1, 3)
		want := text(name, given[0])
		part, from, ok := window(name, s, given)
		if ok {
			if i := index(part, want); i >= 0 {
				return int64(from + utf8.RuneCountInString(part[:i]))
			}
		}
		if strict {
			python.Raise("ValueError", "substring not found")
		}
		return int64(-1)
	}
}

func count(_ *python.Meter, s string, a python.Args) python.Value {
	given := a.Only("count", 1, 3)
	want := text("count", given[0])
	part, _, ok := window("count", s, given)
	if !ok {
		return int64(0)
	}
	return int64(strings.Count(part, want))
}

func replace(m *python.Meter, s string, a python.Args) python.Value {
	given := a.Only("replace", 2, 3)
	limit := int64(-1)
	if len(given) == 3 {
		limit = whole("replace", given[2])
	}
	return Replace(m, s, text("replace", given[0]), text("replace", given[1]), limit)
}

// Replace is str.replace(old, new, limit).
func Replace(m *python.Meter, s, old, by string, limit int64) string {
	n := int64(strings.Count(s, old))
	if limit < 0 || limit > n {
		limit = n
	}
	m.Alloc(len(s) + int(limit)*len(by))
	return strings.Replace(s, old, by, int(limit))
}

// Join is str.join(items).
func Join(m *python.Meter, s string, items python.Value) string {
	if !python.CanIterate(items) {
		python.Raise("TypeError", "can only join an iterable")
	}
	var b strings.Builder
	it := python.Iterate(m, items)
	for i := 0; ; i++ {
		v, ok := it.Next()
		if !ok {
			return b.String()
		}
		part, ok := python.Text(v)
		if !ok {
			python.Raise("TypeError", "sequence item %d: expected str instance, %s found", i, python.TypeName(v))
		}
		if i > 0 {
			part = s + part
		}
		m.Alloc(len(part))
		b.WriteString(part)
	}
}

// pad is n times a character.
func pad(m *python.Meter, fill string, n int64) string {
	if n <= 0 {
		return ""
	}
	if n > 1<<40 {
		n = 1 << 40
	}
	m.Alloc(int(n) * len(fill))
	return strings.Repeat(fill, int(n))
}

func padded(name string) method {
	return func(m *python.Meter, s string, a python.Args) python.Value {
		given := a.Only(name, 1, 2)
		width, fill := whole(name, given[0]), " "
		if len(given) == 2 {
			fill = text(name, given[1])
			if utf8.RuneCountInString(fill) != 1 {
				python.Raise("TypeError", "The fill character must be exactly one character long")
			}
		}
		missing := width - int64(utf8.RuneCountInString(s))
		switch {
		case missing <= 0:
			return s
		case name == "ljust":
			return s + pad(m, fill, missing)
		case name == "rjust":
			return pad(m, fill, missing) + s
		}
		left := missing/2 + missing&width&1
		return pad(m, fill, left) + s + pad(m, fill, missing-left)
	}
}

func zfill(m *python.Meter, s string, a python.Args) python.Value {
	width := whole("zfill", a.Only("zfill", 1, 1)[0])
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	return sign + pad(m, "0", width-int64(utf8.RuneCountInString(s)+len(sign))) + s
}

func expandtabs(m *python.Meter, s string, a python.Args) python.Value {
	size := int64(8)
	if v := a.Bind("expandtabs", 0, "tabsize")[0]; v != python.Missing {
		size = whole("expandtabs", v)
	}
	var b strings.Builder
	column := int64(0)
	for _, r := range s {
		switch r {
		case '\t':
			if size > 0 {
				n := size - column%size
				b.WriteString(pad(m, " ", n))
				column += n
			}
		case '\n', '\r':
			b.WriteRune(r)
			column = 0
		default:
			b.WriteRune(r)
			column++
		}
	}
	m.Alloc(b.Len())
	return b.String()
}
