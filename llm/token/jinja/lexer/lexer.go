// Package lexer cuts the source of a Jinja template into tokens, with the white
// space taken away that trim_blocks, lstrip_blocks and the signs of tags take.
package lexer

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what a token is.
type Kind uint8

// The kinds.
const (
	EndOfSource Kind = iota
	Data
	OutputBegin
	OutputEnd
	BlockBegin
	BlockEnd
	Name
	Text
	Integer
	Float
	Operator
)

// Token is a piece of the source.
type Token struct {
	Kind   Kind
	Text   string // of an operator or a name as it stands, of a text unescaped
	Number any    // int64 or float64
	Line   int
}

// Is reports whether the token is this operator.
func (t Token) Is(op string) bool { return t.Kind == Operator && t.Text == op }

// Word reports whether the token is this name.
func (t Token) Word(w string) bool { return t.Kind == Name && t.Text == w }

// String is the token as a fault names it.
func (t Token) String() string {
	switch t.Kind {
	case EndOfSource:
		return "the end of the template"
	case OutputEnd:
		return "the end of the output"
	case BlockEnd:
		return "the end of the block"
	case Text:
		return "the text " + strconv.Quote(t.Text)
	case Integer, Float:
		return "a number"
	}
	return strconv.Quote(t.Text)
}

// lexer cuts a source into tokens.
type lexer struct {
	source string
	at     int
	line   int
	tokens []Token
	// startsLine says whether the last piece ended with a line break.
	startsLine bool
}

// Tokenize cuts a source. Line breaks become \n, and the last one is dropped.
// What is wrong is a panic with an *Error.
func Tokenize(source string) []Token {
	source = strings.ReplaceAll(strings.ReplaceAll(source, "\r\n", "\n"), "\r", "\n")
	l := &lexer{source: strings.TrimSuffix(source, "\n"), line: 1, startsLine: true}
	for l.at < len(l.source) {
		l.root()
	}
	l.add(Token{Kind: EndOfSource})
	return l.tokens
}

func (l *lexer) add(t Token) {
	t.Line = l.line
	l.tokens = append(l.tokens, t)
}

// take moves on and counts the lines of what was passed.
func (l *lexer) take(n int) string {
	s := l.source[l.at : l.at+n]
	l.at += n
	l.line += strings.Count(s, "\n")
	l.startsLine = strings.HasSuffix(s, "\n")
	return s
}

// root reads text and the tag behind it.
func (l *lexer) root() {
	rest := l.source[l.at:]
	n := 0
	for n < len(rest) && (rest[n] != '{' || n+1 == len(rest) || strings.IndexByte("{%#", rest[n+1]) < 0) {
		n++
	}
	if n == len(rest) {
		l.addData(l.take(n))
		return
	}
	mark := rest[n+1]
	sign := byte(0)
	if n+2 < len(rest) && (rest[n+2] == '-' || rest[n+2] == '+') {
		sign = rest[n+2]
	}
	before := rest[:n]
	l.addData(stripped(before, sign, mark != '{', l.startsLine))
	opening := 2
	if sign != 0 {
		opening = 3
	}
	l.take(n)
	if mark == '%' {
		if raw := rawBegin(rest[n+opening:]); raw > 0 {
			l.take(opening + raw)
			l.raw()
			return
		}
	}
	l.take(opening)
	switch mark {
	case '#':
		l.comment()
	case '%':
		l.add(Token{Kind: BlockBegin})
		l.tag(true)
	default:
		l.add(Token{Kind: OutputBegin})
		l.tag(false)
	}
}

func (l *lexer) addData(s string) {
	if s != "" {
		l.add(Token{Kind: Data, Text: s})
	}
}

// stripped is a text without what the sign of the tag behind it, or
// lstrip_blocks, takes away.
func stripped(s string, sign byte, block, startsLine bool) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(s, space)
	case sign == '+' || !block:
		return s
	}
	line := strings.LastIndexByte(s, '\n') + 1
	if (line > 0 || startsLine) && strings.TrimFunc(s[line:], space) == "" {
		return s[:line]
	}
	return s
}

// space is white space as Python has it.
func space(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// spaces is how many bytes of white space a text begins with.
func spaces(s string) int { return len(s) - len(strings.TrimLeftFunc(s, space)) }

// rawBegin is the length of "raw %}" if the text begins with it, or 0.
func rawBegin(s string) int {
	n := spaces(s)
	if !strings.HasPrefix(s[n:], "raw") {
		return 0
	}
	n += len("raw")
	n += spaces(s[n:])
	switch {
	case strings.HasPrefix(s[n:], "-%}"):
		n += 3
		return n + spaces(s[n:])
	case strings.HasPrefix(s[n:], "%}"):
		return n + 2
	}
	return 0
}

// raw reads up to the end of a raw block.
func (l *lexer) raw() {
	rest := l.source[l.at:]
	for n := 0; ; n++ {
		i := strings.Index(rest[n:], "{%")
		if i < 0 {
			Fail(l.line, "the block raw has no end")
		}
		n += i
		end, sign := n+2, byte(0)
		if end < len(rest) && (rest[end] == '-' || rest[end] == '+') {
			sign = rest[end]
			end++
		}
		end += spaces(rest[end:])
		if !strings.HasPrefix(rest[end:], "endraw") {
			continue
		}
		end += len("endraw")
		end += spaces(rest[end:])
		if c := closing(rest[end:], "%}", true); c > 0 {
			l.addData(stripped(rest[:n], sign, true, l.startsLine))
			l.take(end + c)
			return
		}
	}
}

// closing is the length of the end of a tag, with what it takes of the text
// behind it, or 0.
func closing(s, mark string, block bool) int {
	switch {
	case strings.HasPrefix(s, "-"+mark):
		n := 1 + len(mark)
		return n + spaces(s[n:])
	case block && strings.HasPrefix(s, "+"+mark):
		return 1 + len(mark)
	case strings.HasPrefix(s, mark):
		if block && strings.HasPrefix(s[len(mark):], "\n") {
			return len(mark) + 1
		}
		return len(mark)
	}
	return 0
}

func (l *lexer) comment() {
	rest := l.source[l.at:]
	for n := range len(rest) {
		if c := closing(rest[n:], "#}", true); c > 0 {
			l.take(n + c)
			return
		}
	}
	Fail(l.line, "a comment has no end")
}

// operators are the longest ones first.
var operators = []string{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

var pairs = map[string]string{"(": ")", "[": "]", "{": "}"}

// tag reads what stands inside an output or a block, with its end.
func (l *lexer) tag(block bool) {
	mark, end := "}}", OutputEnd
	if block {
		mark, end = "%}", BlockEnd
	}
	var open []string
	for l.at < len(l.source) {
		rest := l.source[l.at:]
		if len(open) == 0 {
			if c := closing(rest, mark, block); c > 0 {
				l.add(Token{Kind: end})
				l.take(c)
				return
			}
		}
		if n := spaces(rest); n > 0 {
			l.take(n)
			continue
		}
		if l.literal(rest) {
			continue
		}
		op := ""
		for _, o := range operators {
			if strings.HasPrefix(rest, o) {
				op = o
				break
			}
		}
		if op == "" {
			r, _ := utf8.DecodeRuneInString(rest)
			Fail(l.line, "the character %q is not part of the language", r)
		}
		if close := pairs[op]; close != "" {
			open = append(open, close)
		} else if op == ")" || op == "]" || op == "}" {
			if len(open) == 0 || open[len(open)-1] != op {
				Fail(l.line, "%q closes nothing", op)
			}
			open = open[:len(open)-1]
		}
		l.add(Token{Kind: Operator, Text: op})
		l.take(len(op))
	}
}

// literal reads a number, a name or a text, if one is next.
func (l *lexer) literal(rest string) bool {
	if n := floatLength(rest); n > 0 && (l.at == 0 || l.source[l.at-1] != '.') {
		v, err := strconv.ParseFloat(strings.ReplaceAll(rest[:n], "_", ""), 64)
		if err != nil && v == 0 {
			Fail(l.line, "the number %s cannot be read", rest[:n])
		}
		l.add(Token{Kind: Float, Number: v})
		l.take(n)
		return true
	}
	if n := integerLength(rest); n > 0 {
		v, err := strconv.ParseInt(strings.ReplaceAll(rest[:n], "_", ""), 0, 64)
		if err != nil {
			Fail(l.line, "the number %s does not fit into 64 bits", rest[:n])
		}
		l.add(Token{Kind: Integer, Number: v})
		l.take(n)
		return true
	}
	if n := nameLength(rest); n > 0 {
		if first, _ := utf8.DecodeRuneInString(rest); unicode.IsNumber(first) || unicode.IsMark(first) {
			Fail(l.line, "%q is no name", rest[:n])
		}
		l.add(Token{Kind: Name, Text: rest[:n]})
		l.take(n)
		return true
	}
	if rest[0] == '\'' || rest[0] == '"' {
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case rest[0]:
				l.add(Token{Kind: Text, Text: unescape(rest[1:i], l.line)})
				l.take(i + 1)
				return true
			}
		}
		Fail(l.line, "a text has no end")
	}
	return false
}

// nameLength is how long the name is that a text begins with.
func nameLength(s string) int {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r) && (i == 0 || !unicode.IsMark(r)) {
			return i
		}
	}
	return len(s)
}

// digits is how long a run of digits is, with single "_" between them.
func digits(s string, ok func(byte) bool) int {
	n := 0
	for n < len(s) {
		switch {
		case ok(s[n]):
			n++
		case s[n] == '_' && n > 0 && n+1 < len(s) && ok(s[n+1]):
			n++
		default:
			return n
		}
	}
	return n
}

func decimal(c byte) bool { return '0' <= c && c <= '9' }

func floatLength(s string) int {
	n := digits(s, decimal)
	if n == 0 {
		return 0
	}
	is := false
	if n < len(s) && s[n] == '.' {
		if f := digits(s[n+1:], decimal); f > 0 {
			n, is = n+1+f, true
		}
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := digits(s[e:], decimal); d > 0 {
			return e + d
		}
	}
	if is {
		return n
	}
	return 0
}

func integerLength(s string) int {
	if len(s) > 2 && s[0] == '0' {
		base := map[byte]func(byte) bool{
			'b': func(c byte) bool { return c == '0' || c == '1' },
			'o': func(c byte) bool { return '0' <= c && c <= '7' },
			'x': func(c byte) bool { return decimal(c) || 'a' <= c|0x20 && c|0x20 <= 'f' },
		}[s[1]|0x20]
		if base != nil {
			from := 2
			if s[2] == '_' {
				from = 3
			}
			if n := digits(s[from:], base); n > 0 {
				return from + n
			}
		}
	}
	if s[0] == '0' {
		return digits(s, func(c byte) bool { return c == '0' })
	}
	return digits(s, decimal)
}
