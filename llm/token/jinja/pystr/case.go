package pystr

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// isSpace is str.isspace of a character.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// Upper is str.upper().
func Upper(s string) string { return cases.Upper(language.Und).String(s) }

// Lower is str.lower().
func Lower(s string) string { return cases.Lower(language.Und).String(s) }

func casefold(s string) string { return cases.Fold().String(s) }

// Capitalize is str.capitalize().
func Capitalize(s string) string {
	n := size(s)
	return titleOf(s[:n]) + Lower(s)[len(Lower(s[:n])):]
}

// titleOf is a character in title case.
func titleOf(s string) string { return cases.Title(language.Und, cases.NoLower).String(s) }

func title(s string) string {
	var b strings.Builder
	within := false
	for at, r := range s {
		c := string(r)
		switch {
		case !within:
			b.WriteString(titleOf(c))
		case r == 'Σ':
			b.WriteString(sigma(s, at))
		default:
			b.WriteString(Lower(c))
		}
		within = cased(r)
	}
	return b.String()
}

// sigma is the small form of the letter that has another one at the end of a
// word.
func sigma(s string, at int) string {
	lower := Lower(s[:at+len("Σ")])
	next, _ := utf8.DecodeRuneInString(s[at+len("Σ"):])
	if unicode.IsLetter(next) {
		return "σ"
	}
	_, n := utf8.DecodeLastRuneInString(lower)
	return lower[len(lower)-n:]
}

func swapcase(s string) string {
	var b strings.Builder
	for at, r := range s {
		switch {
		case r == 'Σ':
			b.WriteString(sigma(s, at))
		case isUpper(r):
			b.WriteString(Lower(string(r)))
		case isLower(r):
			b.WriteString(Upper(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isUpper(r rune) bool { return unicode.IsUpper(r) || unicode.Is(unicode.Other_Uppercase, r) }

func isLower(r rune) bool { return unicode.IsLower(r) || unicode.Is(unicode.Other_Lowercase, r) }

func cased(r rune) bool { return isUpper(r) || isLower(r) || unicode.IsTitle(r) }

// IsLower is str.islower().
func IsLower(s string) bool {
	any := false
	for _, r := range s {
		if isUpper(r) || unicode.IsTitle(r) {
			return false
		}
		any = any || isLower(r)
	}
	return any
}

// IsUpper is str.isupper().
func IsUpper(s string) bool {
	any := false
	for _, r := range s {
		if isLower(r) || unicode.IsTitle(r) {
			return false
		}
		any = any || isUpper(r)
	}
	return any
}

func isTitle(s string) bool {
	any, within := false, false
	for _, r := range s {
		switch {
		case isUpper(r) || unicode.IsTitle(r):
			if within {
				return false
			}
			any, within = true, true
		case isLower(r):
			if !within {
				return false
			}
			any, within = true, true
		default:
			within = false
		}
	}
	return any
}

// all is true of a text that has characters, of which each is so.
func all(is func(rune) bool) func(string) bool {
	return func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(r rune) bool { return !is(r) }) < 0
	}
}

func isAlpha(r rune) bool { return unicode.IsLetter(r) }

func isDecimal(r rune) bool { return unicode.Is(unicode.Nd, r) }

// digitRanges are digits that are not decimal ones, such as those in circles.
var digitRanges = [][2]rune{
	{0xb2, 0xb3}, {0xb9, 0xb9}, {0x1369, 0x1371}, {0x19da, 0x19da}, {0x2070, 0x2070}, {0x2074, 0x2079}, {0x2080, 0x2089},
	{0x2460, 0x2468}, {0x2474, 0x247c}, {0x2488, 0x2490}, {0x24ea, 0x24ea}, {0x24f5, 0x24fd}, {0x24ff, 0x24ff}, {0x2776, 0x277e},
	{0x2780, 0x2788}, {0x278a, 0x2792}, {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a},
}

func isDigit(r rune) bool {
	for _, d := range digitRanges {
		if r >= d[0] && r <= d[1] {
			return true
		}
	}
	return isDecimal(r)
}

// ideographs are those that are numbers.
const ideographs = "\u3405\u3483\u382a\u3b4d\u4e00\u4e03\u4e07\u4e09\u4e5d\u4e8c\u4e94\u4e96\u4ebf\u4ec0\u4edf\u4ee8\u4f0d\u4f70\u5104\u5146\u5169" +
	"\u516b\u516d\u5341\u5343\u5344\u5345\u534c\u53c1\u53c2\u53c3\u53c4\u56db\u58f1\u58f9\u5e7a\u5efe\u5eff\u5f0c\u5f0d\u5f0e\u5f10\u62fe\u634c\u67d2\u6f06" +
	"\u7396\u767e\u8086\u842c\u8cae\u8cb3\u8d30\u9621\u9646\u964c\u9678\u96f6\uf96b\uf973\uf978\uf9b2\uf9d1\uf9d3\uf9fd\U00020001\U00020064\U000200e2" +
	"\U00020121\U0002092a\U00020983\U0002098c\U0002099c\U00020aea\U00020afd\U00020b19\U00022390\U00022998\U00023b1b\U0002626d\U0002f890"

func isNumeric(r rune) bool { return unicode.IsNumber(r) || strings.ContainsRune(ideographs, r) }

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.Is(unicode.Nl, r) && (i == 0 || !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) && !unicode.Is(unicode.Mc, r) && !unicode.Is(unicode.Pc, r)) {
			return false
		}
	}
	return s != ""
}

func isPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
