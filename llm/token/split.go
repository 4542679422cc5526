package token

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// gpt2Pattern is how a ByteLevel pre-tokenizer cuts text when its file names
// no pattern of its own.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// splitter cuts text into words; no merge crosses the border between two.
// It appends the end of each word, counted from start, to ends.
type splitter interface {
	split(text string, start int, ends []int) []int
}

// patternSplitter cuts at the matches of a pattern.
type patternSplitter struct {
	re *regexp.Regexp
	// blanks is the group of `\s+(?!\S)`, 0 without one. Go's expressions
	// know no lookahead; a run of white space that something follows gives
	// its last character back, which is what the lookahead does.
	blanks int
}

func newPatternSplitter(pattern string) (patternSplitter, error) {
	s := patternSplitter{}
	text := strings.Replace(pattern, `\s+(?!\S)|\s+`, `(?P<blanks>\s+)`, 1)
	re, err := regexp.Compile(unicodeSpace(text))
	if err != nil {
		return s, fmt.Errorf("pattern %q of the pre-tokenizer: %w: %w", pattern, ErrUnsupported, err)
	}
	s.re = re
	if i := re.SubexpIndex("blanks"); i > 0 {
		s.blanks = i
	}
	return s, nil
}

// unicodeSpace widens \s, which means ASCII alone in Go's expressions, to all
// of Unicode's white space.
func unicodeSpace(pattern string) string {
	const space = `\t\n\v\f\r\x{85}\p{Z}`
	var b strings.Builder
	class := false
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			switch {
			case pattern[i] == 's' && class:
				b.WriteString(space)
			case pattern[i] == 's':
				b.WriteString("[" + space + "]")
			case pattern[i] == 'S' && !class:
				b.WriteString("[^" + space + "]")
			default:
				b.WriteByte('\\')
				b.WriteByte(pattern[i])
			}
		default:
			switch c {
			case '[':
				class = true
			case ']':
				class = false
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (s patternSplitter) split(text string, start int, ends []int) []int {
	at := 0
	for at < len(text) {
		m := s.re.FindStringSubmatchIndex(text[at:])
		if m == nil {
			break
		}
		from, to := at+m[0], at+m[1]
		if s.blanks > 0 && m[2*s.blanks] >= 0 && to < len(text) {
			_, last := utf8.DecodeLastRuneInString(text[from:to])
			if to-last > from {
				to -= last
			}
		}
		if to == from { // an empty match moves on by a character
			_, size := utf8.DecodeRuneInString(text[at:])
			to, from = at+size, at+size
		}
		if from > at {
			ends = append(ends, start+from)
		}
		if to > from {
			ends = append(ends, start+to)
		}
		at = to
	}
	if at < len(text) {
		ends = append(ends, start+len(text))
	}
	return ends
}

// digitSplitter parts digits from the rest, all of them or run by run.
type digitSplitter struct{ individual bool }

func (s digitSplitter) split(text string, start int, ends []int) []int {
	inside := false
	for i, r := range text {
		digit := unicode.IsNumber(r)
		if i > 0 && (digit != inside || digit && s.individual) {
			ends = append(ends, start+i)
		}
		inside = digit
	}
	if text != "" {
		ends = append(ends, start+len(text))
	}
	return ends
}

// chain applies splitters one after the other, each to the words of the one
// before.
type chain []splitter

func (c chain) split(text string, start int, ends []int) []int {
	words := []int{start + len(text)}
	for _, s := range c {
		var finer []int
		from := start
		for _, to := range words {
			finer = s.split(text[from-start:to-start], from, finer)
			from = to
		}
		words = finer
	}
	return append(ends, words...)
}

// newSplitter reads a pre-tokenizer. It reports whether the pre-tokenizer is
// byte-level.
func newSplitter(c *component) (chain, bool, error) {
	if c == nil {
		return nil, false, nil
	}
	switch c.Type {
	case "Sequence":
		var all chain
		level := false
		for i := range c.PreTokenizers {
			part, bytes, err := newSplitter(&c.PreTokenizers[i])
			if err != nil {
				return nil, false, err
			}
			all = append(all, part...)
			level = level || bytes
		}
		return all, level, nil
	case "ByteLevel":
		if c.AddPrefixSpace {
			return nil, false, fmt.Errorf("pre-tokenizer ByteLevel with add_prefix_space: %w", ErrUnsupported)
		}
		if c.UseRegex != nil && !*c.UseRegex {
			return nil, true, nil
		}
		s, err := newPatternSplitter(gpt2Pattern)
		return chain{s}, true, err
	case "Digits":
		return chain{digitSplitter{c.Individual}}, false, nil
	case "Split":
		// Removed with invert keeps the matches and drops nothing as long as
		// the pattern covers all text, as the usual ones do.
		if c.Behavior != "Isolated" && !(c.Behavior == "Removed" && c.Invert) {
			return nil, false, fmt.Errorf("pre-tokenizer Split with behavior %s: %w", c.Behavior, ErrUnsupported)
		}
		text := c.Pattern.Regex
		if text == "" {
			text = regexp.QuoteMeta(c.Pattern.String)
		}
		s, err := newPatternSplitter(text)
		return chain{s}, false, err
	}
	return nil, false, fmt.Errorf("pre-tokenizer %s: %w", c.Type, ErrUnsupported)
}
