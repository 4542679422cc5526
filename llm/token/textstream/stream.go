// Package textstream makes text of an answer's tokens as they come, and finds the texts
// that end an answer, also where they begin within one token and end within another.
package textstream

import (
	"strings"
	"unicode/utf8"
)

// Stream is the text of one answer.
type Stream struct {
	decode func(ids []int32) string
	stop   []string
	// The text of the tokens from a place on is decoded anew with each token: what a
	// token says may depend on the one before it. Of that text so many bytes count already.
	ids     []int32
	from    int // where the next such text will begin
	counted int

	text  strings.Builder // all that counts
	given int             // bytes of text that Add has returned
	ended string          // the text that ended the answer
}

// New is the text of an answer that ends where one of some texts would begin. decode
// makes text of tokens. Empty texts end nothing.
func New(decode func(ids []int32) string, stop []string) *Stream {
	s := &Stream{decode: decode}
	for _, text := range stop {
		if text != "" {
			s.stop = append(s.stop, text)
		}
	}
	return s
}

// longest is how many tokens are decoded at once at most. Only broken characters, one
// after the other, make so many.
const longest = 64

// Add adds a token. It returns the text that is certain by now: a character that is not
// whole, and what may be the beginning of a text that ends the answer, are kept back. It
// reports whether such a text has come; then the answer ends before it.
func (s *Stream) Add(id int32) (piece string, stopped bool) {
	s.ids = append(s.ids, id)
	text := s.decode(s.ids)
	whole := strings.TrimSuffix(text, string(utf8.RuneError))
	s.count(whole)
	if len(whole) == len(text) || len(s.ids) > longest {
		s.count(text)
		s.ids = s.ids[:copy(s.ids, s.ids[s.from:])]
		s.from, s.counted = len(s.ids), len(s.decode(s.ids))
	}
	return s.next(false)
}

// End returns the rest of the text: no token follows. It reports whether a text that
// ends the answer has come.
func (s *Stream) End() (piece string, stopped bool) {
	if s.ended != "" {
		return "", true
	}
	s.count(s.decode(s.ids))
	return s.next(true)
}

// Text is the text so far, without what Add keeps back.
func (s *Stream) Text() string { return s.text.String()[:s.given] }

// Ended is the text that ended the answer; empty: none did.
func (s *Stream) Ended() string { return s.ended }

// count takes what is new in the text of the tokens that are decoded at once.
func (s *Stream) count(text string) {
	if len(text) > s.counted {
		s.text.WriteString(text[s.counted:])
		s.counted = len(text)
	}
}

// next returns what was not given yet.
func (s *Stream) next(all bool) (piece string, stopped bool) {
	rest := s.text.String()[s.given:]
	end := len(rest)
	for _, stop := range s.stop {
		if at := strings.Index(rest, stop); at >= 0 && (s.ended == "" || at < end) {
			end, s.ended = at, stop
		}
	}
	stopped = s.ended != ""
	if !stopped && !all {
		for _, stop := range s.stop {
			end = min(end, len(rest)-beginning(rest, stop))
		}
	}
	s.given += end
	return rest[:end], stopped
}

// beginning is how many bytes at the end of a text are the beginning of another.
func beginning(text, other string) int {
	for n := min(len(text), len(other)-1); n > 0; n-- {
		if strings.HasSuffix(text, other[:n]) {
			return n
		}
	}
	return 0
}
