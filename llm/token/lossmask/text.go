package lossmask

import "strings"

// Text makes an example of a row that is a text, without a template: every token
// counts, the end-of-text token behind it too, which is added unless the text
// ends with it, as TRL does. Where markers are given and occur, the text was
// rendered already, and what they enclose counts.
func (m *Masker) Text(text string) Row {
	if end := m.tok.Templates().Tokens()["eos_token"]; end != "" && !strings.HasSuffix(strings.TrimSpace(text), end) {
		text += end
	}
	spans := [][2]int{{0, len(text)}}
	if m.config.ResponsesOnly && m.config.Markers.Given() {
		if marked, ok := m.config.Markers.Find(text); ok {
			spans = marked
		}
	}
	return Row{Examples: []Example{m.encode(text, spans)}}
}
