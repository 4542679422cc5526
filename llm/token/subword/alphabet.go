package subword

// Alphabet is the one-to-one mapping between bytes and printable characters
// by which byte-level vocabularies write arbitrary bytes as JSON strings: the
// printable ones of Latin-1 stand for themselves, and the others, in order,
// for the characters from U+0100.
type Alphabet struct {
	char [256]rune
	byte map[rune]byte
}

// NewAlphabet returns the mapping.
func NewAlphabet() Alphabet {
	a := Alphabet{byte: make(map[rune]byte, 256)}
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !(r >= '!' && r <= '~' || r >= 0xA1 && r <= 0xAC || r >= 0xAE && r <= 0xFF) {
			r = next
			next++
		}
		a.char[b] = r
		a.byte[r] = byte(b)
	}
	return a
}

// Decode reads bytes written in the alphabet. A text with a character that is
// none of the alphabet's is returned as it is.
func (a Alphabet) Decode(text string) string {
	raw := make([]byte, 0, len(text))
	for _, r := range text {
		b, ok := a.byte[r]
		if !ok {
			return text
		}
		raw = append(raw, b)
	}
	return string(raw)
}
