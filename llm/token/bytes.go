package token

// Bytes are those of one token, which may be a part of a character; none for an id
// outside the vocabulary.
func Bytes(t *Tokenizer, id int32) []byte {
	if id < 0 || int(id) >= len(t.text) {
		return nil
	}
	return []byte(t.text[id])
}
