package lossmask

// encode makes an example of a rendered text.
func (m *Masker) encode(text string, spans [][2]int) Example {
	e := Example{Text: text, Spans: spans}
	e.IDs, e.Count = m.tok.EncodeMarked(text, spans)
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
	e.IDs, e.Count = e.IDs[:limit:limit], e.Count[:limit:limit]
	return e
}
