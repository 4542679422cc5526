package metric

import "strings"

// entities13a are the escapes of SGML test sets. The order matters: "&amp;lt;"
// becomes "<", but "&amp;quot;" becomes "&quot;".
var entities13a = [...][2]string{{"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}}

// tokens13a splits a line as mteval-v13a.pl does, the tokenizer of published BLEU
// scores. It works on bytes, because all its separators are ASCII.
func tokens13a(line string) []string {
	line = strings.ReplaceAll(trimRight(line), "<skipped>", "")
	line = strings.ReplaceAll(line, "-\n", "")
	line = strings.ReplaceAll(line, "\n", " ")
	if strings.Contains(line, "&") {
		for _, e := range entities13a {
			line = strings.ReplaceAll(line, e[0], e[1])
		}
	}

	text := make([]byte, 0, len(line)+len(line)/4+2)
	text = append(text, ' ')
	for i := range len(line) {
		if c := line[i]; isPunct(c) && !inWord13a(c) {
			text = append(text, ' ', c, ' ')
		} else {
			text = append(text, c)
		}
	}
	text = append(text, ' ')

	// Each pass takes pairs of bytes from the left and continues after a matching
	// pair, so the result for "..." and "1.,2" depends on the order.
	text = pairs13a(text, func(a, b byte) bool { return !isDigit(a) && isStop(b) }, "\x01 \x02 ")
	text = pairs13a(text, func(a, b byte) bool { return isStop(a) && !isDigit(b) }, " \x01 \x02")
	text = pairs13a(text, func(a, b byte) bool { return isDigit(a) && b == '-' }, "\x01 \x02 ")
	return fields(string(text))
}

// pairs13a replaces each matching pair by the layout, in which 1 and 2 stand for
// its bytes.
func pairs13a(text []byte, match func(a, b byte) bool, layout string) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	for i := 0; i < len(text); i++ {
		if i+1 == len(text) || !match(text[i], text[i+1]) {
			out = append(out, text[i])
			continue
		}
		for j := range len(layout) {
			switch c := layout[j]; c {
			case 1, 2:
				out = append(out, text[i+int(c)-1])
			default:
				out = append(out, c)
			}
		}
		i++
	}
	return out
}

// inWord13a reports whether a mark may be part of a word.
func inWord13a(c byte) bool { return c == '\'' || c == '-' || isStop(c) }

func isStop(c byte) bool { return c == '.' || c == ',' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
