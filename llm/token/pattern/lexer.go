package pattern

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// lexer cuts an expression into items.
type lexer struct {
	rest   string
	blanks bool // the run of white space was found already
}

// The classes of Unicode, as the inside of a class of Go, and their opposites.
const (
	space    = `\t-\r\x{85}\p{Z}`
	notSpace = `\x{0}-\x{8}\x{e}-\x{1f}!-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}`
	word     = wordIn + `²³¹¼-¾`
	// In a class, Oniguruma leaves out what its table of Latin-1 adds.
	wordIn = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149}\x{1f150}-\x{1f169}\x{1f170}-\x{1f189}`
)

// class returns what an escape means inside of a class of Go; empty if it means the
// same in both, or nothing.
func class(c byte) string {
	switch c {
	case 's':
		return space
	case 'S':
		return notSpace
	case 'd':
		return `\p{Nd}`
	case 'D':
		return `\P{Nd}`
	case 'w':
		return wordIn
	case 'h':
		return `0-9a-fA-F`
	}
	return ""
}

var (
	// blankRun is the look ahead that most tokenizers have, and what follows it.
	blankRun = regexp.MustCompile(`^\\s\+\(\?!\\S\)\|\\s(\+|$|\||\))`)
	// option begins a group, or sets options for the rest of one.
	option = regexp.MustCompile(`^\(\?([imx]*)(-[imx]*)?(:|\))`)
	named  = regexp.MustCompile(`^\(\?<[A-Za-z_]\w*>`)
	braces = regexp.MustCompile(`^\{(\d*)(,?)(\d*)\}`)
)

func (l *lexer) items() ([]item, error) {
	var out []item
	for l.rest != "" {
		it, err := l.next()
		if err != nil {
			return nil, err
		}
		if it.kind == repeats && it.possessive && strings.HasPrefix(it.text, "{") { // a repetition of a repetition
			if len(out) == 0 || out[len(out)-1].kind != atom {
				return nil, unsupported("a repetition of a repetition", it.source)
			}
			last := &out[len(out)-1]
			last.text, last.source = "(?:"+last.text+it.text+")", last.source+strings.TrimSuffix(it.source, "+")
			it = item{kind: repeats, text: "+", source: "+"}
		}
		out = append(out, it)
	}
	return out, nil
}

// take takes bytes off the expression.
func (l *lexer) take(n int) string {
	taken := l.rest[:n]
	l.rest = l.rest[n:]
	return taken
}

func (l *lexer) next() (item, error) {
	if m := blankRun.FindStringSubmatch(l.rest); m != nil && !l.blanks {
		l.blanks = true
		n := len(m[0])
		if m[1] != "+" {
			n -= len(m[1])
		}
		return item{kind: atom, text: "(?P<" + blanks + ">[" + space + "]+)", source: l.take(n)}, nil
	}
	switch c := l.rest[0]; c {
	case '\\':
		return l.escape()
	case '[':
		return l.class()
	case '(':
		return l.group()
	case ')':
		return l.plain(closing, 1), nil
	case '|':
		return l.plain(alternates, 1), nil
	case '*', '+', '?':
		return l.repetition(1), nil
	case '{':
		return l.counted(), nil
	case '^', '$':
		return item{}, unsupported("an anchor, which looks at the text around a match", string(c))
	}
	_, size := utf8.DecodeRuneInString(l.rest)
	return l.plain(atom, size), nil
}

// plain is an item that both libraries write alike.
func (l *lexer) plain(k kind, n int) item {
	text := l.take(n)
	return item{kind: k, text: text, source: text}
}

// repetition reads what follows a sign of repetition.
func (l *lexer) repetition(n int) item {
	it := l.plain(repeats, n)
	switch {
	case strings.HasPrefix(l.rest, "?"):
		it.text, it.source = it.text+"?", it.source+l.take(1)
	case strings.HasPrefix(l.rest, "+"):
		it.possessive, it.source = true, it.source+l.take(1)
	}
	return it
}

// counted reads a repetition in braces, or a brace that is a character.
func (l *lexer) counted() item {
	m := braces.FindStringSubmatch(l.rest)
	if m == nil || m[1] == "" && m[3] == "" {
		l.take(1)
		return item{kind: atom, text: `\{`, source: "{"}
	}
	it := l.repetition(len(m[0]))
	if m[1] == "" {
		it.text = "{0" + it.text[1:]
	}
	return it
}

// group reads the beginning of a group.
func (l *lexer) group() (item, error) {
	if m := option.FindStringSubmatch(l.rest); m != nil {
		if strings.Contains(m[1]+m[2], "x") {
			return item{}, unsupported("an expression with blanks and comments", m[0])
		}
		it := l.plain(opening, len(m[0]))
		if m[3] == ")" {
			it.kind = atom
		}
		it.text = strings.ReplaceAll(it.text, "m", "s") // the dot matches the end of a line
		return it, nil
	}
	for prefix, what := range map[string]string{
		"(?=": "a look ahead", "(?!": "a look ahead", "(?<=": "a look behind", "(?<!": "a look behind",
		"(?>": "an atomic group", "(?~": "a group for what is absent", "(?#": "a comment", "(?(": "a condition",
	} {
		if strings.HasPrefix(l.rest, prefix) {
			return item{}, unsupported(what, prefix)
		}
	}
	if m := named.FindString(l.rest); m != "" {
		it := l.plain(opening, len(m))
		it.text = "("
		return it, nil
	}
	if strings.HasPrefix(l.rest, "(?") {
		_, size := utf8.DecodeRuneInString(l.rest[2:])
		return item{}, unsupported("", l.rest[:2+size])
	}
	return l.plain(opening, 1), nil
}

// escape reads a backslash and what belongs to it, outside of a class.
func (l *lexer) escape() (item, error) {
	text, in, err := l.escaped()
	if err != nil {
		return item{}, err
	}
	it := item{kind: atom, text: in, source: text}
	switch {
	case text == `\w`:
		it.text = "[" + word + "]"
	case text == `\W`:
		it.text = "[^" + word + "]"
	case text == `\H`:
		it.text = `[^0-9a-fA-F]`
	case text == `\R`:
		it.text = `(?:\r\n|[\n-\r\x{85}\x{2028}\x{2029}])`
	case class(text[1]) != "":
		it.text = "[" + in + "]"
	}
	return it, nil
}

// escaped reads an escape. in is what it is inside of a class of Go.
func (l *lexer) escaped() (text, in string, err error) {
	if len(l.rest) < 2 {
		return "", "", unsupported("a backslash at the end", l.rest)
	}
	c := l.rest[1]
	switch {
	case class(c) != "":
		return l.take(2), class(c), nil
	case c == 'p' || c == 'P' || c == 'x':
		end := 2
		if strings.HasPrefix(l.rest[2:], "{") {
			end = max(strings.IndexByte(l.rest, '}')+1, 2)
		} else if c == 'x' {
			end = min(4, len(l.rest))
		}
		text = l.take(end)
		return text, text, nil
	case c == 'u':
		text = l.take(min(6, len(l.rest)))
		return text, `\x{` + text[2:] + `}`, nil
	case strings.IndexByte("tnvfra", c) >= 0:
		text = l.take(2)
		return text, text, nil
	case c == 'e':
		return l.take(2), `\x1b`, nil
	case strings.IndexByte("WHR", c) >= 0:
		return l.take(2), "", nil
	case strings.IndexByte("bBAzZG", c) >= 0:
		return "", "", unsupported("an anchor, which looks at the text around a match", l.rest[:2])
	case c >= '1' && c <= '9' || c == 'k' || c == 'g':
		return "", "", unsupported("a reference to a group", l.rest[:2])
	case c == '0' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
		return "", "", unsupported("", l.rest[:2])
	}
	_, size := utf8.DecodeRuneInString(l.rest[1:])
	if text = l.take(1 + size); size > 1 {
		return text, text[1:], nil
	}
	return text, text, nil
}

// class reads a class of characters.
func (l *lexer) class() (item, error) {
	from := l.rest
	out := l.take(1)
	if strings.HasPrefix(l.rest, "^") {
		out += l.take(1)
	}
	if strings.HasPrefix(l.rest, "]") { // the first one is a character
		l.take(1)
		out += `\]`
	}
	for l.rest != "" {
		switch {
		case l.rest[0] == ']':
			out += l.take(1)
			return item{kind: atom, text: out, source: from[:len(from)-len(l.rest)]}, nil
		case l.rest[0] == '[':
			return item{}, unsupported("a class inside of a class", from[:len(from)-len(l.rest)+1])
		case strings.HasPrefix(l.rest, "&&"):
			return item{}, unsupported("an intersection of classes", from[:len(from)-len(l.rest)+2])
		case l.rest[0] == '\\' && strings.HasPrefix(l.rest, `\b`):
			l.take(2)
			out += `\x08`
		case l.rest[0] == '\\':
			text, in, err := l.escaped()
			if err == nil && in == "" {
				err = unsupported("the opposite of a class inside of a class", text)
			}
			if err != nil {
				return item{}, err
			}
			out += in
		default:
			_, size := utf8.DecodeRuneInString(l.rest)
			out += l.take(size)
		}
	}
	return item{}, unsupported("a class without an end", from)
}
