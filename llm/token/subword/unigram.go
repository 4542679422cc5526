package subword

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"unicode/utf8"
)

// unknownPenalty is how much worse an unknown character is than the worst token.
const unknownPenalty = 10

// Scored is a token of a Unigram's vocabulary; its place there is its id.
type Scored struct {
	Text  string
	Score float64 // the logarithm of its probability
}

// Unigram is a model that takes the tokens whose scores have the largest sum.
type Unigram struct {
	vocabulary   []Scored
	ids          map[string]int32
	sorted       []string // the texts, without their doubles
	unknown      int32
	unknownScore float64
	byteFallback bool
	words        cache
}

// NewUnigram returns a model. unknown is the id of the token for what is none, and
// byteFallback has bytes in its place where the vocabulary has all of them.
func NewUnigram(vocabulary []Scored, unknown int32, byteFallback bool) (*Unigram, error) {
	if unknown < 0 || int(unknown) >= len(vocabulary) {
		return nil, fmt.Errorf("unk_id is %d, which is none of the %d tokens", unknown, len(vocabulary))
	}
	m := &Unigram{vocabulary: vocabulary, ids: make(map[string]int32, len(vocabulary)), unknown: unknown, byteFallback: byteFallback}
	worst := math.Inf(1)
	for id, t := range vocabulary {
		worst = min(worst, t.Score)
		if _, seen := m.ids[t.Text]; !seen && t.Text != "" {
			m.sorted = append(m.sorted, t.Text)
		}
		m.ids[t.Text] = int32(id)
	}
	m.unknownScore = worst - unknownPenalty
	slices.Sort(m.sorted)
	return m, nil
}

// ID implements [Model].
func (m *Unigram) ID(text string) (int32, bool) {
	id, ok := m.ids[text]
	return id, ok
}

// Word implements [Model].
func (m *Unigram) Word(text string) []Token {
	return m.words.of(text, func() []Token { return m.tokens(text, m.best(text)) })
}

// step is the last token of the best way to a place: its id, where it begins, and the sum
// of the scores.
type step struct {
	id    int32
	from  int // -1: nothing leads there
	score float64
}

// best are the ends of the best way's tokens. Unknown ones in a row are one.
func (m *Unigram) best(text string) []int {
	steps := make([]step, len(text)+1)
	for i := range steps {
		steps[i].from = -1
	}
	reach := func(from, to int, id int32, score float64) {
		if score += steps[from].score; steps[to].from < 0 || score > steps[to].score {
			steps[to] = step{id, from, score}
		}
	}
	for at := 0; at < len(text); {
		_, size := utf8.DecodeRuneInString(text[at:])
		single := false
		for _, word := range m.beginnings(text[at:]) {
			id := m.ids[word]
			reach(at, at+len(word), id, m.vocabulary[id].Score)
			single = single || len(word) == size
		}
		if !single {
			reach(at, at+size, m.unknown, m.unknownScore)
		}
		at += size
	}
	var ends []int
	for at, behind := len(text), false; at > 0; at = steps[at].from {
		unknown := steps[at].id == m.unknown
		if !unknown || !behind {
			ends = append(ends, at)
		}
		behind = unknown
	}
	slices.Reverse(ends)
	return ends
}

// beginnings are the tokens that a text begins with, the shortest first.
func (m *Unigram) beginnings(text string) []string {
	var found []string
	in := m.sorted // those that begin as the text does, up to at
	for at := range len(text) {
		c := text[at]
		in = in[sort.Search(len(in), func(i int) bool { return len(in[i]) > at && in[i][at] >= c }):]
		in = in[:sort.Search(len(in), func(i int) bool { return in[i][at] > c })]
		if len(in) == 0 {
			break
		}
		if len(in[0]) == at+1 {
			found = append(found, in[0])
		}
	}
	return found
}

// tokens are those of the pieces of a text.
func (m *Unigram) tokens(text string, ends []int) []Token {
	var out []Token
	from := 0
	for _, to := range ends {
		piece := text[from:to]
		from = to
		id, ok := m.ids[piece]
		if bytes := m.bytes(piece); !ok && bytes != nil {
			out = append(out, bytes...)
			continue
		}
		if !ok {
			id = m.unknown
		}
		out = append(out, Token{id, len(piece)})
	}
	return out
}

// bytes are the tokens of a text's bytes, or nil if one is missing.
func (m *Unigram) bytes(text string) []Token {
	if !m.byteFallback {
		return nil
	}
	var out []Token
	for _, b := range []byte(text) {
		id, ok := m.ids[ByteName(b)]
		if !ok {
			return nil
		}
		out = append(out, Token{id, 1})
	}
	return out
}
