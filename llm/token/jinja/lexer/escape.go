package lexer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// simpleEscapes are those of one character.
var simpleEscapes = map[byte]string{
	'\n': "", '\\': "\\", '\'': "'", '"': "\"", 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// unescape reads the escapes of a text as Python's codec unicode_escape does.
// Escapes that it does not know stay as they are.
func unescape(s string, line int) string {
	if !strings.Contains(s, "\\") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		i++
		if i == len(s) {
			Fail(line, "a text ends with a single \\")
		}
		c := s[i]
		if plain, ok := simpleEscapes[c]; ok {
			b.WriteString(plain)
			i++
			continue
		}
		switch {
		case '0' <= c && c <= '7':
			n := 1
			for n < 3 && i+n < len(s) && '0' <= s[i+n] && s[i+n] <= '7' {
				n++
			}
			v, _ := strconv.ParseUint(s[i:i+n], 8, 32) // at most three octal digits
			b.WriteRune(rune(v))
			i += n
		case c == 'x' || c == 'u' || c == 'U':
			n := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
			if i+1+n > len(s) {
				Fail(line, "the escape \\%c needs %d hexadecimal digits", c, n)
			}
			v, err := strconv.ParseUint(s[i+1:i+1+n], 16, 32)
			if err != nil {
				Fail(line, "the escape \\%s is not one of %d hexadecimal digits", s[i:i+1+n], n)
			}
			if v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
				Fail(line, "the escape \\%s is half a surrogate pair or beyond Unicode, which is not supported", s[i:i+1+n])
			}
			b.WriteRune(rune(v))
			i += 1 + n
		case c == 'N':
			Fail(line, "escapes of characters by name (\\N{…}) are not supported")
		case c < utf8.RuneSelf:
			b.WriteByte('\\')
			b.WriteByte(c)
			i++
		default: // Jinja writes such a character as an escape first, whose \ this one escapes
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r < 0x100:
				fmt.Fprintf(&b, "\\x%02x", r)
			case r < 0x10000:
				fmt.Fprintf(&b, "\\u%04x", r)
			default:
				fmt.Fprintf(&b, "\\U%08x", r)
			}
			i += n
		}
	}
	return b.String()
}
