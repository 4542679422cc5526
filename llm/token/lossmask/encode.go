package lossmask

import (
	"slices"

	"github.com/tunebus/tunebus/llm/token"
)

// encode makes an example of a rendered text.
func (m *Masker) encode(encoder *token.Encoder, text string, spans [][2]int) Example {
	e := Example{Text: text, Spans: spans}
	e.IDs, e.Count = encoder.EncodeMarked(text, spans)
	e.Tokens = len(e.IDs)
	limit := m.config.MaxTokens
	if limit <= 0 || len(e.IDs) <= limit {
		return e
	}
	for _, c := range e.Count[limit:] {
		if c {
			e.Cut = InPrompt
		}
	}
	if e.Count[limit] {
		e.Cut = InAnswer
	}
	// A copy, so that what was cut takes no memory.
	e.IDs, e.Count = slices.Clone(e.IDs[:limit]), slices.Clone(e.Count[:limit])
	return e
}
