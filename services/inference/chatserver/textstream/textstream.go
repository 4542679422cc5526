// Package textstream turns the tokens of an answer into text as they come, and ends the
// text before a stop text.
//
//	s := textstream.New(tokenizer.DecodeAnswer, []string{"\n\n"})
//	for _, id := range answer {
//		write(s.Add(id))
//		if s.Stopped() {
//			break
//		}
//	}
//	write(s.End())
//
// All pieces together are the text of all tokens, up to the stop text. A piece ends
// neither inside a character nor inside what may become a stop text.
package textstream

import (
	"strings"
	"unicode/utf8"
)

// Stream is the text of one answer.
type Stream struct {
	decode func(ids []int32) string
	stops  []string

	// ids are the tokens that are not forgotten: the first known of them are written in
	// pending or before it, and stay for what the text of later ones depends on.
	ids   []int32
	known int

	pending string // what is not given out yet, because it may be a stop text
	given   int    // characters that were given out
	stopped bool
}

// New returns the stream of an answer. decode is that of its tokenizer.
func New(decode func(ids []int32) string, stops []string) *Stream {
	return &Stream{decode: decode, stops: stops}
}

// Stopped reports whether the text has met a stop text. What is added later is no part of
// it.
func (s *Stream) Stopped() bool { return s.stopped }

// Length is how many characters there are so far, with those that no piece has had yet.
func (s *Stream) Length() int { return s.given + utf8.RuneCountInString(s.pending) }

// Add takes the next token, and returns the text that is certain now.
func (s *Stream) Add(id int32) string {
	if s.stopped {
		return ""
	}
	s.ids = append(s.ids, id)
	before, all := s.decode(s.ids[:s.known]), s.decode(s.ids)
	// A character may be made of several tokens, and the text of some tokens depends on
	// those before them. What ends with a broken character waits.
	const broken = string(utf8.RuneError)
	if len(all) <= len(before) || strings.HasSuffix(all, broken) && len(s.ids)-s.known < longestCharacter {
		return ""
	}
	s.ids, s.known = s.ids[s.known:], len(s.ids)-s.known
	return s.take(all[len(before):])
}

// longestCharacter is how many tokens a character can be made of, and some more: behind
// them it is broken.
const longestCharacter = 16

// take takes text that is decoded, and gives out what cannot become a stop text.
func (s *Stream) take(text string) string {
	s.pending += text
	first := -1
	for _, stop := range s.stops {
		if at := strings.Index(s.pending, stop); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	if first >= 0 {
		s.stopped = true
		return s.give(first)
	}
	held := 0
	for _, stop := range s.stops {
		held = max(held, overlap(s.pending, stop))
	}
	return s.give(len(s.pending) - held)
}

// give gives out the beginning of what waits.
func (s *Stream) give(n int) string {
	out := s.pending[:n]
	s.pending = s.pending[n:]
	if s.stopped {
		s.pending = ""
	}
	s.given += utf8.RuneCountInString(out)
	return out
}

// overlap is how many bytes at the end of a text begin a stop text.
func overlap(text, stop string) int {
	for n := min(len(text), len(stop)-1); n > 0; n-- {
		if strings.HasSuffix(text, stop[:n]) {
			return n
		}
	}
	return 0
}

// End returns the rest: no more tokens come.
func (s *Stream) End() string {
	if s.stopped {
		return ""
	}
	if before, all := s.decode(s.ids[:s.known]), s.decode(s.ids); len(all) > len(before) {
		s.ids, s.known = nil, 0
		out := s.take(all[len(before):])
		if s.stopped {
			return out
		}
		return out + s.give(len(s.pending))
	}
	return s.give(len(s.pending))
}
