package preview

import (
	"encoding/json"
	"unicode/utf8"
)

// MarshalJSON implements json.Marshaler. Parts of the text are counted in
// characters, as the strings of Python are: text[from:to].
func (s Sequence) MarshalJSON() ([]byte, error) {
	counted := make([][2]int, len(s.Counted))
	for i, part := range s.Counted {
		counted[i] = s.characters(part)
	}
	s.Counted = counted
	if s.Kept != nil {
		kept := s.characters(*s.Kept)
		s.Kept = &kept
	}
	type plain Sequence
	return json.Marshal(plain(s))
}

// characters returns a part of the text, given in bytes.
func (s Sequence) characters(part [2]int) [2]int {
	from := utf8.RuneCountInString(s.Text[:part[0]])
	return [2]int{from, from + utf8.RuneCountInString(s.Text[part[0]:part[1]])}
}
