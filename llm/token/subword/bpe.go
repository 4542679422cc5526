package subword

import (
	"container/heap"
	"fmt"
	"unicode/utf8"
)

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// joined is what a pair becomes; a lower rank joins first.
type joined struct{ rank, id int32 }

// BPE is a byte-pair model over raw bytes, or over characters.
type BPE struct {
	ids          map[string]int32 // by raw bytes, or by the text of the vocabulary
	base         [256]int32       // the token of each byte, -1 without one
	characters   bool             // words begin as characters, and those that are no token as bytes
	merges       map[pair]joined
	ignoreMerges bool  // a word that is a token is that token, whatever the merges say
	unknown      int32 // the token of what is none, -1 without one
	fuse         bool  // unknown characters in a row are one token
	words        cache
}

// Merge is a pair of tokens that join.
type Merge struct{ Left, Right string }

// Config is what a BPE is made of, with texts as the words have them.
type Config struct {
	IDs    map[string]int32
	Merges []Merge
	// Characters says that words begin as characters, and those that are no token as
	// bytes, which have names of their own, see [ByteName].
	Characters   bool
	IgnoreMerges bool
	// Unknown is the token of what is none. Without one, the text is left out.
	Unknown string
	// FuseUnknown makes one token of unknown characters in a row.
	FuseUnknown bool
}

// ByteName is how a vocabulary of characters names a byte.
func ByteName(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// NewBPE returns a model. The error names a merge, or the token for what is unknown, that
// the vocabulary lacks.
func NewBPE(c Config) (*BPE, error) {
	m := &BPE{
		ids:          c.IDs,
		merges:       make(map[pair]joined, len(c.Merges)),
		characters:   c.Characters,
		ignoreMerges: c.IgnoreMerges,
		unknown:      -1,
		fuse:         c.FuseUnknown,
	}
	if c.Unknown != "" {
		id, ok := m.ids[c.Unknown]
		if !ok {
			return nil, fmt.Errorf("unk_token %q is not in the vocabulary", c.Unknown)
		}
		m.unknown = id
	}
	for b := range 256 {
		m.base[b] = -1
		name := string([]byte{byte(b)})
		if m.characters {
			name = ByteName(byte(b))
		}
		if id, ok := m.ids[name]; ok {
			m.base[b] = id
		}
	}
	for rank, j := range c.Merges {
		l, okL := m.ids[j.Left]
		r, okR := m.ids[j.Right]
		id, ok := m.ids[j.Left+j.Right]
		if !ok || !okL || !okR {
			return nil, fmt.Errorf("merge %q with %q: a token of it is not in the vocabulary", j.Left, j.Right)
		}
		if _, seen := m.merges[pair{l, r}]; !seen {
			m.merges[pair{l, r}] = joined{rank: int32(rank), id: id}
		}
	}
	return m, nil
}

// ID implements [Model].
func (m *BPE) ID(text string) (int32, bool) {
	id, ok := m.ids[text]
	return id, ok
}

// Word implements [Model].
func (m *BPE) Word(text string) []Token {
	return m.words.of(text, func() []Token {
		if id, whole := m.ids[text]; whole && m.ignoreMerges {
			return []Token{{id, len(text)}}
		}
		return m.merge(text)
	})
}

// symbol is a token of a word while it is merged: a node of a linked list, as
// indices into the slice that holds it.
type symbol struct {
	Token
	prev, next int
}

// candidate is a pair that may join; left is the index of its first symbol.
// It is stale when a symbol of the pair has changed since.
type candidate struct {
	joined
	pair
	at int
}

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	old := *c
	last := old[len(old)-1]
	*c = old[:len(old)-1]
	return last
}

// symbols are what a word begins as.
func (m *BPE) symbols(text string) []symbol {
	list := make([]symbol, 0, len(text))
	put := func(id int32, width int) {
		list = append(list, symbol{Token: Token{id, width}, prev: len(list) - 1, next: len(list) + 1})
	}
	unknown := false // what was put last
	for i := 0; i < len(text); {
		size := 1
		if m.characters {
			_, size = utf8.DecodeRuneInString(text[i:])
			if whole, ok := m.ids[text[i:i+size]]; ok {
				put(whole, size)
				i, unknown = i+size, false
				continue
			}
		}
		switch {
		case m.hasBytes(text[i : i+size]):
			for _, b := range []byte(text[i : i+size]) {
				put(m.base[b], 1)
			}
			unknown = false
		case m.unknown >= 0 && unknown && m.fuse:
			list[len(list)-1].Width += size
		case m.unknown >= 0:
			put(m.unknown, size)
			unknown = true
		case len(list) > 0: // a byte without a token is dropped, as the format's own library does
			list[len(list)-1].Width += size
		}
		i += size
	}
	return list
}

// hasBytes reports whether each byte of a character is a token.
func (m *BPE) hasBytes(character string) bool {
	for _, b := range []byte(character) {
		if m.base[b] < 0 {
			return false
		}
	}
	return true
}

// merge joins pairs, the lowest rank first, until no pair has one. A heap
// keeps a word of n bytes at n log n: a row of a million letters without a
// space must not hang a run.
func (m *BPE) merge(text string) []Token {
	list := m.symbols(text)
	var open candidates
	offer := func(at int) {
		if at < 0 || list[at].next >= len(list) {
			return
		}
		p := pair{list[at].ID, list[list[at].next].ID}
		if j, ok := m.merges[p]; ok {
			heap.Push(&open, candidate{joined: j, pair: p, at: at})
		}
	}
	for i := range list {
		offer(i)
	}
	for len(open) > 0 {
		c := heap.Pop(&open).(candidate)
		next := list[c.at].next
		if list[c.at].ID != c.left || next >= len(list) || list[next].ID != c.right {
			continue
		}
		list[c.at].ID = c.id
		list[c.at].Width += list[next].Width
		list[c.at].next = list[next].next
		if after := list[next].next; after < len(list) {
			list[after].prev = c.at
		}
		list[next].ID = -1
		offer(list[c.at].prev)
		offer(c.at)
	}
	tokens := make([]Token, 0, len(list))
	for i := 0; i < len(list); i = list[i].next {
		tokens = append(tokens, list[i].Token)
	}
	return tokens
}
