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
	switch {
	case !slices.Contains(e.Count[limit:], true):
	case e.Count[limit-1] && e.Count[limit]:
		e.Cut = InAnswer
	default: // also right before an answer, of which nothing is left then
		e.Cut = InPrompt
	}
	// A copy, so that what was cut takes no memory.
	e.IDs, e.Count = slices.Clone(e.IDs[:limit]), slices.Clone(e.Count[:limit])
	return e
}
