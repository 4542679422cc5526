// Package spacing writes the spaces of a text as vocabularies made by SentencePiece have
// them, and reads tokens back into a text.
package spacing

import (
	"strings"
	"unicode/utf8"
)

// Space stands for a space in such vocabularies.
const Space = "\u2581"

// Prepend says what gets a space before it.
type Prepend int

// What does: nothing, what begins the text, or every part of it between tokens that are
// found before anything else.
const (
	Never Prepend = iota
	First
	Always
)

// Rules are how a tokenizer deals with spaces.
type Rules struct {
	Prepend Prepend
	// UnlessSpaced leaves out the space before a part that begins with one.
	UnlessSpaced bool
	// Words says that each space begins a word; no merge crosses its border.
	Words bool
	// Strip says that one space at the beginning of what is decoded is left out.
	Strip bool
	// StripFirst says that all spaces of the first token are left out.
	StripFirst bool
	// Bytes says that the tokens of single bytes are read as these.
	Bytes bool
}

// Write is a part of a text as the vocabulary writes it, and where each of its bytes,
// and its end, lies in the part. first says that the part begins the text.
func (r *Rules) Write(part string, first bool) (text string, at []int) {
	var b strings.Builder
	put := func(what string, from int, each int) {
		for i := range len(what) {
			at = append(at, from+i*each)
		}
		b.WriteString(what)
	}
	begins := strings.HasPrefix(part, " ") || strings.HasPrefix(part, Space)
	if part != "" && (r.Prepend == Always || r.Prepend == First && first) && !(r.UnlessSpaced && begins) {
		put(Space, 0, 0)
	}
	for i := 0; i < len(part); {
		_, size := utf8.DecodeRuneInString(part[i:])
		if part[i] == ' ' {
			put(Space, i, 0)
		} else {
			put(part[i:i+size], i, 1)
		}
		i += size
	}
	return b.String(), append(at, len(part))
}

// Cut are the words of what Write has written, by their ends.
func (r *Rules) Cut(text string) []int {
	var ends []int
	for i := 1; r.Words && i < len(text); i++ {
		if strings.HasPrefix(text[i:], Space) {
			ends = append(ends, i)
		}
	}
	return append(ends, len(text))
}

// Piece is a token as a text has it. A byte is one that is a token of its own, since the
// vocabulary lacks the character that it belongs to.
type Piece struct {
	Text string
	Byte bool
}

// Decode is the text of tokens. Bytes are read together; where they are no UTF-8, each
// becomes U+FFFD.
func (r *Rules) Decode(tokens []Piece) string {
	var b, open strings.Builder
	flush := func() {
		if s := open.String(); utf8.ValidString(s) {
			b.WriteString(s)
		} else {
			b.WriteString(strings.Repeat("\uFFFD", len(s)))
		}
		open.Reset()
	}
	for i, p := range tokens {
		if i == 0 && r.StripFirst && !p.Byte {
			p.Text = strings.ReplaceAll(p.Text, " ", "")
		}
		if p.Byte {
			open.WriteString(p.Text)
			continue
		}
		flush()
		b.WriteString(p.Text)
	}
	flush()
	text := b.String()
	if r.Strip {
		text = strings.TrimPrefix(text, " ")
	}
	return text
}
