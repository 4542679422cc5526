package lossmask

import "strings"

// Markers are the texts before a question and before an answer, as a person gives
// them.
type Markers struct{ Question, Answer string }

// Given reports whether there are markers.
func (m Markers) Given() bool { return m.Question != "" || m.Answer != "" }

// Find lists the bytes of a text, from and to, that stand between the marker of an
// answer and that of the next question. ok is false if a marker is empty or does
// not occur.
func (m Markers) Find(text string) (spans [][2]int, ok bool) {
	if m.Question == "" || m.Answer == "" || !strings.Contains(text, m.Question) {
		return nil, false
	}
	for at := 0; ; {
		i := strings.Index(text[at:], m.Answer)
		if i < 0 {
			return spans, len(spans) > 0
		}
		from := at + i + len(m.Answer)
		to := len(text)
		if j := strings.Index(text[from:], m.Question); j >= 0 {
			to = from + j
		}
		spans = append(spans, [2]int{from, to})
		at = to
	}
}
