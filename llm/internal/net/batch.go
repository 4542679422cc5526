package net

import "fmt"

// Row is a row of tokens. Count[i] says that token i counts in the loss; the
// first one never does, since nothing predicts it.
type Row struct {
	IDs   []int32
	Count []bool
}

// batch are rows one after the other, without padding.
type batch struct {
	ids       []int32
	positions []int32
	starts    []int // of each row, and the end
	longest   int
	// where are the places whose next token counts, and targets those tokens.
	where   []int
	targets []int32
}

// fill sets the batch. An error names a token that the network does not have.
func (b *batch) fill(rows []Row, vocab int) error {
	b.ids, b.positions, b.starts, b.where, b.targets = b.ids[:0], b.positions[:0], b.starts[:0], b.where[:0], b.targets[:0]
	b.longest = 0
	for i, r := range rows {
		start := len(b.ids)
		b.starts = append(b.starts, start)
		b.longest = max(b.longest, len(r.IDs))
		for j, id := range r.IDs {
			if id < 0 || int(id) >= vocab {
				return &TokenError{Row: i, Position: j, ID: id, Vocab: vocab}
			}
			b.ids, b.positions = append(b.ids, id), append(b.positions, int32(j))
			if j > 0 && j < len(r.Count) && r.Count[j] {
				b.where, b.targets = append(b.where, start+j-1), append(b.targets, id)
			}
		}
	}
	b.starts = append(b.starts, len(b.ids))
	return nil
}

// TokenError says that a network does not have a token.
type TokenError struct {
	Row, Position int // from 0
	ID            int32
	Vocab         int
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("token %d of row %d has the id %d, and the vocabulary of the model has %d tokens: its tokenizer belongs to another model", e.Position+1, e.Row+1, e.ID, e.Vocab)
}
