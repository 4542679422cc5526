package pystr

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Words is the filter title, which takes words apart otherwise than str.title.
func Words(s string) string {
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, func(c rune) bool { return isSpace(c) || strings.ContainsRune("-({[<", c) })
		switch {
		case n < 0:
			n = len(s)
		case n == 0: // what is between words
			_, n = utf8.DecodeRuneInString(s)
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		_, first := utf8.DecodeRuneInString(s)
		b.WriteString(Upper(s[:first]) + Lower(s[first:n]))
		s = s[n:]
	}
	return b.String()
}

// Quote writes a text for an address, or for a query within one.
func Quote(s string, query bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("_.-~", c) >= 0, c == '/' && !query:
			b.WriteByte(c)
		case c == ' ' && query:
			b.WriteByte('+')
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
