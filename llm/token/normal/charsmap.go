package normal

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Charsmap is the table of SentencePiece that says which text stands for which.
type Charsmap struct {
	trie []uint32 // a trie in a double array, as Darts lays it out
	text string   // what stands for others, each with a zero byte behind it
}

// NewCharsmap reads a table: the length of the trie in bytes, the trie and the texts.
func NewCharsmap(raw []byte) (*Charsmap, error) {
	if len(raw) < 4 {
		return nil, errors.New("precompiled_charsmap is shorter than its own length")
	}
	size, rest := binary.LittleEndian.Uint32(raw), raw[4:]
	if uint64(size) > uint64(len(rest)) || size%4 != 0 || size == 0 {
		return nil, errors.New("precompiled_charsmap: the length of its trie is not that of a trie in it")
	}
	m := &Charsmap{trie: make([]uint32, size/4), text: string(rest[size:])}
	for i := range m.trie {
		m.trie[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	if !utf8.ValidString(m.text) {
		return nil, errors.New("precompiled_charsmap: its texts are not UTF-8")
	}
	return m, nil
}

// offset is how a unit of the trie points to its children.
func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }

// find is what stands for the shortest beginning of a text that the table has.
func (m *Charsmap) find(text string) (string, bool) {
	at := offset(m.trie[0])
	for i := range len(text) {
		c := uint32(text[i])
		if c == 0 {
			break
		}
		at ^= c
		if uint64(at) >= uint64(len(m.trie)) {
			break
		}
		unit := m.trie[at]
		if unit&(1<<31|0xFF) != c {
			break
		}
		at ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if uint64(at) >= uint64(len(m.trie)) {
			break
		}
		place := m.trie[at] & (1<<31 - 1)
		if uint64(place) >= uint64(len(m.text)) {
			break
		}
		found, _, _ := strings.Cut(m.text[place:], "\x00")
		return found, true
	}
	return "", false
}

// longestWhole is the longest grapheme, in bytes, that is looked up as a whole. The
// format's library has this bound, and models are trained with what comes of it.
const longestWhole = 5

// Apply implements [Step].
func (m *Charsmap) Apply(t Text) Text {
	w := writer{of: t}
	from, state := 0, -1
	for from < len(t.Bytes) {
		var grapheme string
		grapheme, _, _, state = uniseg.FirstGraphemeClusterInString(t.Bytes[from:], state)
		if len(grapheme) <= longestWhole {
			if found, ok := m.find(grapheme); ok {
				w.put(found, from)
				from += len(grapheme)
				continue
			}
		}
		for to := from + len(grapheme); from < to; {
			_, size := utf8.DecodeRuneInString(t.Bytes[from:])
			if found, ok := m.find(t.Bytes[from : from+size]); ok {
				w.put(found, from)
			} else {
				w.keep(from, from+size)
			}
			from += size
		}
	}
	return w.done()
}
