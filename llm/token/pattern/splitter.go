package pattern

import (
	"regexp"
	"unicode/utf8"
)

// Splitter cuts texts at the matches of an expression.
type Splitter struct {
	re *regexp.Regexp
	// run is the group of `\s+(?!\S)`, 0 without one. A run of white space that
	// something follows gives its last character back, which is what the look ahead
	// does.
	run int
}

// New returns a splitter. The error is an [*UnsupportedError] if the expression has
// something that Go's do not know.
func New(expr string) (Splitter, error) {
	text, err := translate(expr)
	if err != nil {
		return Splitter{}, err
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return Splitter{}, unsupported("more repetitions than can be read", expr) // it was parsed, so that this is its size
	}
	return Splitter{re: re, run: max(re.SubexpIndex(blanks), 0)}, nil
}

// Matches are where the expression matches, from and to.
func (s Splitter) Matches(text string) [][2]int {
	var found [][2]int
	for at := 0; at < len(text); {
		m := s.re.FindStringSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		from, to := at+m[0], at+m[1]
		if s.run > 0 && m[2*s.run] >= 0 && to < len(text) {
			_, last := utf8.DecodeLastRuneInString(text[from:to])
			if to-last > from {
				to -= last
			}
		}
		if to == from { // an empty match moves on by a character
			_, size := utf8.DecodeRuneInString(text[at:])
			to, from = at+size, at+size
		}
		found = append(found, [2]int{from, to})
		at = to
	}
	return found
}

// Split appends the ends of the matches, and of what lies between them, to ends,
// counted from start.
func (s Splitter) Split(text string, start int, ends []int) []int {
	at := 0
	for _, m := range s.Matches(text) {
		if m[0] > at {
			ends = append(ends, start+m[0])
		}
		if m[1] > m[0] {
			ends = append(ends, start+m[1])
		}
		at = m[1]
	}
	if at < len(text) {
		ends = append(ends, start+len(text))
	}
	return ends
}
