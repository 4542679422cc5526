package metric

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// isSpace reports whether Python's str.split splits at r: it does at the
// separators U+001C to U+001F, and not at the zero width space.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F
}

// fields splits text at blanks, as str.split does.
func fields(text string) []string { return strings.FieldsFunc(text, isSpace) }

// trimRight drops trailing blanks, as str.rstrip does.
func trimRight(text string) string { return strings.TrimRightFunc(text, isSpace) }

// isPunct reports whether b is one of the 32 marks of Python's
// string.punctuation.
func isPunct(b byte) bool {
	return '!' <= b && b <= '/' || ':' <= b && b <= '@' || '[' <= b && b <= '`' || '{' <= b && b <= '~'
}

// isWord reports whether Python's \w matches r. It matches no combining marks.
func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
}

// lower is Python's str.lower, the full mapping of the Unicode standard: unlike
// with strings.ToLower, İ becomes two code points and the Σ at the end of a word
// becomes ς.
func lower(text string) string {
	if !strings.ContainsAny(text, "İΣ") {
		return strings.ToLower(text)
	}
	var b strings.Builder
	b.Grow(len(text) + 1)
	for i, r := range text {
		switch {
		case r == 'İ':
			b.WriteString("i\u0307")
		case r == 'Σ' && endsWord(text[:i], text[i+len("Σ"):]):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

// endsWord is Unicode's condition Final_Sigma: a cased letter before and none
// after, ignoring characters without case.
func endsWord(before, after string) bool {
	cased := false
	for before != "" && !cased {
		r, size := utf8.DecodeLastRuneInString(before)
		if !ignorable(r) {
			if !isCased(r) {
				return false
			}
			cased = true
		}
		before = before[:len(before)-size]
	}
	if !cased {
		return false
	}
	for _, r := range after {
		if !ignorable(r) {
			return !isCased(r)
		}
	}
	return true
}

func isCased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// ignorable is Unicode's property Case_Ignorable: marks, modifiers, format
// characters and the punctuation that may stand inside a word.
func ignorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a", r)
}
