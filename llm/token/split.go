package token

import (
	"fmt"
	"regexp"
	"unicode"

	"github.com/tunebus/tunebus/llm/token/pattern"
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
type patternSplitter struct{ pattern.Splitter }

func newPatternSplitter(expr string) (patternSplitter, error) {
	s, err := pattern.New(expr)
	if err != nil {
		err = fmt.Errorf("pre_tokenizer in tokenizer.json: its pattern %q has %w: %w by the built-in engine; engines that use the library tokenizers, such as trl, read it", expr, err, ErrUnsupported)
	}
	return patternSplitter{s}, err
}

func (s patternSplitter) split(text string, start int, ends []int) []int {
	return s.Split(text, start, ends)
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
