package structconf

import (
	"fmt"
	"strings"
	"unicode"
)

// Escape writes the characters in the strings of TOML that cannot be seen, such as
// those that end a terminal's colour or turn the direction of a text, as their
// numbers. The text is what an encoder wrote, without comments and without strings of
// several lines; it means the same afterwards.
func Escape(text string) string {
	if strings.IndexFunc(text, hidden) < 0 {
		return text
	}
	var b strings.Builder
	for {
		start := strings.IndexAny(text, `'"`)
		if start < 0 {
			b.WriteString(text)
			return b.String()
		}
		quote, body := text[start], text[start+1:]
		end := endOfString(body, quote)
		b.WriteString(text[:start])
		writeString(&b, body[:end], quote)
		text = body[min(end+1, len(body)):]
	}
}

// endOfString is where a string ends that begins with a quote.
func endOfString(body string, quote byte) int {
	for i := 0; i < len(body); i++ {
		switch {
		case body[i] == quote:
			return i
		case quote == '"' && body[i] == '\\':
			i++
		}
	}
	return len(body)
}

func writeString(b *strings.Builder, body string, quote byte) {
	if strings.IndexFunc(body, hidden) < 0 {
		b.WriteByte(quote)
		b.WriteString(body)
		b.WriteByte(quote)
		return
	}
	b.WriteByte('"') // the other kind has no numbers of characters
	for _, r := range body {
		switch {
		case hidden(r) && r > 0xFFFF:
			fmt.Fprintf(b, `\U%08X`, r)
		case hidden(r):
			fmt.Fprintf(b, `\u%04X`, r)
		case quote == '\'' && (r == '"' || r == '\\'):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// hidden reports whether a character cannot be seen. The end of a line is none of
// them: an encoder writes it behind a value.
func hidden(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }
