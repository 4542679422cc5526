package lossmask

// Alone makes each rendering of a conversation alone, without those it shares a
// beginning with.
func (m *Masker) Alone() *Masker {
	m.alone = true
	return m
}
