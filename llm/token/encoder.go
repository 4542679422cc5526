package token

import (
	"slices"
	"sort"
	"unicode/utf8"
)

// Encoder encodes texts one after the other. What a text and the one before it begin
// with is not encoded again, so that the beginnings of a long conversation do not take
// the square of its time. It is not safe for concurrent use.
type Encoder struct {
	tok     *Tokenizer
	longest int // of the added tokens, in bytes

	// The last text, its tokens, and where they end.
	text  string
	ids   []int32
	ends  []int
	stops []stop
}

// stop is a place behind an added token: what stands before it has no influence on the
// tokens behind it.
type stop struct{ at, ids int }

// NewEncoder returns an encoder that has seen no text.
func NewEncoder(t *Tokenizer) *Encoder {
	e := &Encoder{tok: t}
	if len(t.added) > 0 {
		e.longest = len(t.added[0].Content)
	}
	return e
}

// EncodeMarked is as [Tokenizer.EncodeMarked].
func (e *Encoder) EncodeMarked(text string, spans [][2]int) (ids []int32, marked []bool) {
	t := e.tok
	if t.form != nil && !t.form.IsNormalString(text) {
		text, spans = composed(*t.form, text, spans)
	}
	common := 0
	for common < len(text) && common < len(e.text) && text[common] == e.text[common] {
		common++
	}
	// Which added token stands at a place is seen by the bytes behind it, as far as the
	// longest token goes, and by one more character.
	n := sort.Search(len(e.stops), func(i int) bool { return e.stops[i].at+e.longest+utf8.UTFMax > common })
	from := stop{}
	if n > 0 {
		from = e.stops[n-1]
	}
	e.text, e.stops = text, e.stops[:n]
	e.ids, e.ends = encodeFrom(t, text, from.at, slices.Clone(e.ids[:from.ids]), append([]int{}, e.ends[:from.ids]...), func(at, ids int) {
		e.stops = append(e.stops, stop{at, ids})
	})
	return e.ids, marks(e.ends, spans)
}
