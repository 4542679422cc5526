package llm

import "github.com/tunebus/tunebus/llm/internal/packing"

// Example is one tokenised row. Count[i] says that token i counts in the
// loss; the first token never does, since nothing predicts it.
type Example struct {
	IDs   []int32
	Count []bool
}

// Counted is the number of tokens that count in the loss.
func (e Example) Counted() int {
	n := 0
	for i := 1; i < min(len(e.Count), len(e.IDs)); i++ {
		if e.Count[i] {
			n++
		}
	}
	return n
}

// Examples are the rows of a training, which need not be in memory.
type Examples interface {
	Len() int
	// Tokens is the number of tokens of an example, and of those that count.
	Tokens(i int) (all, counted int)
	// Example reads an example.
	Example(i int) (Example, error)
}

// InMemory are examples in memory.
type InMemory []Example

// Len implements [Examples].
func (m InMemory) Len() int { return len(m) }

// Tokens implements [Examples].
func (m InMemory) Tokens(i int) (all, counted int) { return len(m[i].IDs), m[i].Counted() }

// Example implements [Examples].
func (m InMemory) Example(i int) (Example, error) { return m[i], nil }

// usable are the examples of which something counts, in sequences of one or several.
type usable struct {
	all Examples
	at  []int32
	// packs are places in at; nil: each example is a sequence of its own.
	packs [][]int32
}

func newUsable(all Examples) usable {
	u := usable{all: all}
	if all == nil {
		return u
	}
	for i := range all.Len() {
		if _, counted := all.Tokens(i); counted > 0 {
			u.at = append(u.at, int32(i))
		}
	}
	return u
}

// pack puts several examples into one sequence of so many tokens at most; 0: it does
// not.
func (u *usable) pack(tokens int) {
	if tokens <= 0 {
		return
	}
	lengths := make([]int, len(u.at))
	for i, at := range u.at {
		lengths[i], _ = u.all.Tokens(int(at))
	}
	u.packs = packing.BestFit(lengths, tokens)
}

func (u usable) len() int {
	if u.packs != nil {
		return len(u.packs)
	}
	return len(u.at)
}

// sequence are the examples of a sequence, by their places in all.
func (u usable) sequence(i int) []int32 {
	if u.packs == nil {
		return u.at[i : i+1]
	}
	out := make([]int32, len(u.packs[i]))
	for j, at := range u.packs[i] {
		out[j] = u.at[at]
	}
	return out
}

func (u usable) tokens(i int) int {
	sum := 0
	for _, at := range u.sequence(i) {
		n, _ := u.all.Tokens(int(at))
		sum += n
	}
	return sum
}

// read reads the examples of a batch of sequences.
func (u usable) read(batch []int) ([]Example, error) {
	rows := make([]Example, 0, len(batch))
	for _, i := range batch {
		for _, at := range u.sequence(i) {
			row, err := u.all.Example(int(at))
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}
