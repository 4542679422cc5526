package token

import (
	"container/heap"
	"fmt"
	"sync"
	"unicode/utf8"
)

// cachedWords bounds the cache of a model; words beyond it are merged anew.
const cachedWords = 1 << 16

// longestCached is the longest word in the cache, in bytes. Where nothing cuts a text
// into words, a word is a whole text.
const longestCached = 128

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// joined is what a pair becomes; a lower rank joins first.
type joined struct{ rank, id int32 }

// bpe is a byte-pair model over raw bytes, or over characters.
type bpe struct {
	ids          map[string]int32 // by raw bytes, or by the text of the vocabulary
	base         [256]int32       // the token of each byte, -1 without one
	characters   bool             // words begin as characters, and those that are no token as bytes
	merges       map[pair]joined
	ignoreMerges bool // a word that is a token is that token, whatever the merges say

	mu    sync.RWMutex
	cache map[string][]int32
}

func newBPE(f *tokenizerFile, letters alphabet) (*bpe, error) {
	switch {
	case f.Model.Dropout != 0:
		return nil, fmt.Errorf("a BPE with dropout %v in tokenizer.json: %w", f.Model.Dropout, ErrUnsupported)
	case f.Model.Prefix != "":
		return nil, fmt.Errorf("a BPE with continuing_subword_prefix %q in tokenizer.json: %w", f.Model.Prefix, ErrUnsupported)
	case f.Model.Suffix != "":
		return nil, fmt.Errorf("a BPE with end_of_word_suffix %q in tokenizer.json: %w", f.Model.Suffix, ErrUnsupported)
	}
	m := &bpe{
		ids:          make(map[string]int32, len(f.Model.Vocab)),
		merges:       make(map[pair]joined, len(f.Model.Merges)),
		ignoreMerges: f.Model.IgnoreMerges,
		cache:        map[string][]int32{},
	}
	written := letters.decode
	if m.characters = f.spaced(); m.characters {
		written = func(text string) string { return text }
	}
	for text, id := range f.Model.Vocab {
		m.ids[written(text)] = int32(id)
	}
	for b := range 256 {
		m.base[b] = -1
		name := string([]byte{byte(b)})
		if m.characters {
			name = byteName(b)
		}
		if id, ok := m.ids[name]; ok {
			m.base[b] = id
		} else if m.characters {
			return nil, fmt.Errorf("a BPE with byte_fallback in tokenizer.json: its vocabulary has no token %s: %w", name, ErrUnsupported)
		}
	}
	for rank, j := range f.Model.Merges {
		left, right := written(j.left), written(j.right)
		l, okL := m.ids[left]
		r, okR := m.ids[right]
		id, ok := m.ids[left+right]
		if !ok || !okL || !okR {
			return nil, fmt.Errorf("merge %q with %q: a token of it is not in the vocabulary", j.left, j.right)
		}
		if _, seen := m.merges[pair{l, r}]; !seen {
			m.merges[pair{l, r}] = joined{rank: int32(rank), id: id}
		}
	}
	return m, nil
}

// word returns the tokens of a word. The result is shared and not to be
// changed.
func (m *bpe) word(text string) []int32 {
	m.mu.RLock()
	ids, ok := m.cache[text]
	m.mu.RUnlock()
	if ok {
		return ids
	}
	if id, whole := m.ids[text]; whole && m.ignoreMerges {
		ids = []int32{id}
	} else {
		ids = m.merge(text)
	}
	m.mu.Lock()
	if len(m.cache) < cachedWords && len(text) <= longestCached {
		m.cache[text] = ids
	}
	m.mu.Unlock()
	return ids
}

// symbol is a token of a word while it is merged: a node of a linked list, as
// indices into the slice that holds it.
type symbol struct {
	id         int32
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
func (m *bpe) symbols(text string) []symbol {
	list := make([]symbol, 0, len(text))
	for i := 0; i < len(text); {
		id, n := m.base[text[i]], 1
		if m.characters {
			_, size := utf8.DecodeRuneInString(text[i:])
			if whole, ok := m.ids[text[i:i+size]]; ok {
				id, n = whole, size
			}
		}
		if id >= 0 { // a byte without a token is dropped, as the format's own library does
			list = append(list, symbol{id: id, prev: len(list) - 1, next: len(list) + 1})
		}
		i += n
	}
	return list
}

// merge joins pairs, the lowest rank first, until no pair has one. A heap
// keeps a word of n bytes at n log n: a row of a million letters without a
// space must not hang a run.
func (m *bpe) merge(text string) []int32 {
	list := m.symbols(text)
	var open candidates
	offer := func(at int) {
		if at < 0 || list[at].next >= len(list) {
			return
		}
		p := pair{list[at].id, list[list[at].next].id}
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
		if list[c.at].id != c.left || next >= len(list) || list[next].id != c.right {
			continue
		}
		list[c.at].id = c.id
		list[c.at].next = list[next].next
		if after := list[next].next; after < len(list) {
			list[after].prev = c.at
		}
		list[next].id = -1
		offer(list[c.at].prev)
		offer(c.at)
	}
	ids := make([]int32, 0, len(list))
	for i := 0; i < len(list); i = list[i].next {
		ids = append(ids, list[i].id)
	}
	return ids
}
