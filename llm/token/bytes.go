package token

import "sync"

// tables map every byte to a letter that can be seen, as byte-level BPE
// writes them. Source: openai/gpt-2, src/encoder.py, bytes_to_unicode.
var tables = sync.OnceValue(func() (t struct {
	letter [256]string
	back   map[rune]byte
}) {
	t.back = map[rune]byte{}
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !('!' <= r && r <= '~' || '¡' <= r && r <= '¬' || '®' <= r && r <= 'ÿ') {
			r = next
			next++
		}
		t.letter[b] = string(r)
		t.back[r] = byte(b)
	}
	return t
})

// byteLetters writes each byte of a text as its letter.
func byteLetters(text string) []string {
	t := tables()
	out := make([]string, len(text))
	for i := range len(text) {
		out[i] = t.letter[text[i]]
	}
	return out
}

// letterBytes appends the bytes that a token's letters stand for.
func letterBytes(b []byte, token string) []byte {
	t := tables()
	for _, r := range token {
		if c, ok := t.back[r]; ok {
			b = append(b, c)
		}
	}
	return b
}
