package spacing

import (
	"strings"
	"unicode/utf8"
)

// WellFormed replaces each broken part of a text by U+FFFD: the longest beginning of a
// character's bytes, or a byte that begins none (Unicode 16, section 3.9, "substitution
// of maximal subparts").
func WellFormed(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if r, size := utf8.DecodeRuneInString(text[i:]); r != utf8.RuneError || size > 1 {
			b.WriteString(text[i : i+size])
			i += size
			continue
		}
		b.WriteRune(utf8.RuneError)
		i += broken(text[i:])
	}
	return b.String()
}

// broken is the length of the broken part that a text begins with.
func broken(text string) int {
	n, low, high := 3, byte(0x80), byte(0xBF)
	switch first := text[0]; {
	case first == 0xE0:
		low = 0xA0
	case first == 0xED:
		high = 0x9F
	case first >= 0xE1 && first <= 0xEF:
	case first == 0xF0:
		n, low = 4, 0x90
	case first == 0xF4:
		n, high = 4, 0x8F
	case first >= 0xF1 && first <= 0xF3:
		n = 4
	default: // of two bytes, of which the second is missing, or none at all
		return 1
	}
	at := 1
	for at < min(n, len(text)) && text[at] >= low && text[at] <= high {
		at, low, high = at+1, 0x80, 0xBF
	}
	return at
}
