package token

import (
	"slices"
	"sort"

	"golang.org/x/text/unicode/norm"
)

// EncodeMarked is [Tokenizer.Encode], and says of each id whether its token
// overlaps one of the spans: bytes of the text, from and to, in ascending order.
// A token that begins before a span and ends inside it overlaps it.
func (t *Tokenizer) EncodeMarked(text string, spans [][2]int) (ids []int32, marked []bool) {
	return NewEncoder(t).EncodeMarked(text, spans)
}

// marks says which tokens overlap a span. ends are where the tokens end.
func marks(ends []int, spans [][2]int) []bool {
	marked := make([]bool, len(ends))
	for len(spans) > 0 && spans[0][0] == spans[0][1] {
		spans = spans[1:]
	}
	if len(spans) == 0 {
		return marked
	}
	first, from := sort.SearchInts(ends, spans[0][0]+1), 0
	if first > 0 {
		from = ends[first-1]
	}
	for i := first; i < len(ends); i++ {
		end := ends[i]
		for len(spans) > 0 && (spans[0][1] <= from || spans[0][0] == spans[0][1]) {
			spans = spans[1:]
		}
		if len(spans) == 0 {
			break
		}
		marked[i] = end > spans[0][0] && end > from
		from = end
	}
	return marked
}

// composed is a text in a normalization form, with spans that cover the same characters. A
// character that is composed across the border of a span belongs to it.
func composed(form norm.Form, text string, spans [][2]int) (string, [][2]int) {
	moved := slices.Clone(spans)
	for i, s := range moved {
		from, to := s[0], s[1]
		if from < to {
			if at := form.FirstBoundaryInString(text[from:]); at != 0 && from > 0 {
				from = max(form.LastBoundary([]byte(text[:from])), 0)
			}
			if at := form.FirstBoundaryInString(text[to:]); at > 0 {
				to += at
			} else if at < 0 {
				to = len(text)
			}
		}
		moved[i] = [2]int{len(form.String(text[:from])), len(form.String(text[:to]))}
	}
	return form.String(text), moved
}
