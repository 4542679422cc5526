package llm

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

// usable are the examples of which something counts.
type usable struct {
	all Examples
	at  []int32
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

func (u usable) len() int { return len(u.at) }

func (u usable) tokens(i int) int {
	n, _ := u.all.Tokens(int(u.at[i]))
	return n
}

// read reads the examples of a batch.
func (u usable) read(batch []int) ([]Example, error) {
	rows := make([]Example, len(batch))
	for i, at := range batch {
		var err error
		if rows[i], err = u.all.Example(int(u.at[at])); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
