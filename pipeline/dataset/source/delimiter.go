package source

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Delimiter is the delimiter that a key names: one character of ASCII, or "tab". An
// empty text names none, and gives 0.
func Delimiter(text string) (byte, error) {
	switch {
	case text == "":
		return 0, nil
	case text == "tab", text == `\t`:
		return '\t', nil
	case len(text) == 1 && text[0] < utf8.RuneSelf && !strings.Contains("\"\r\n\x00", text):
		return text[0], nil
	}
	return 0, fmt.Errorf("%q cannot separate cells; want one character of ASCII other than a quote, or \"tab\"", text)
}
