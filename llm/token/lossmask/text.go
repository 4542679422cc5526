package lossmask

import (
	"strings"

	"github.com/tunebus/tunebus/llm/token"
)

// Text makes an example of a row that is a text, without a template: every token
// counts, the one that begins a text and the end-of-text token behind it too. They
// are added unless the text has them, as TRL does. Where markers are given and occur, the text was
// rendered already, and what they enclose counts.
func (m *Masker) Text(text string) Row {
	if end := m.tok.Templates().Tokens()["eos_token"]; end != "" && !strings.HasSuffix(strings.TrimSpace(text), end) {
		text += end
	}
	text = m.tok.Begin(text)
	spans := [][2]int{{0, len(text)}}
	if m.config.ResponsesOnly && m.config.Markers.Given() {
		if marked, ok := m.config.Markers.Find(text); ok {
			spans = marked
		}
	}
	return Row{Examples: []Example{m.encode(token.NewEncoder(m.tok), text, spans)}}
}
