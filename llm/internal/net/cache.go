package net

import "github.com/tunebus/tunebus/llm/internal/kernel"

// BlockTokens is how many positions a block of a [Cache] has.
const BlockTokens = 64

// Cache has the keys and values of sequences in blocks of positions. Several sequences
// may have the same blocks, where they begin with the same tokens.
type Cache struct {
	shape  Shape
	layers int
	tables [][]int32 // the blocks of each sequence
	// Each block has, for each layer and head of keys, [HeadDim, BlockTokens] and
	// [BlockTokens, HeadDim].
	blocks [][]float32
}

// NewCache makes a cache for so many sequences of a decoder's network.
func (d *Decoder) NewCache(sequences int) *Cache {
	return &Cache{shape: d.net.Shape, layers: len(d.layers), tables: make([][]int32, sequences)}
}

// BlockBytes is how much memory a block takes.
func (c *Cache) BlockBytes() int64 {
	return 8 * BlockTokens * int64(c.layers) * int64(c.shape.keys())
}

// Place says which blocks hold a sequence, in order. A block takes memory from the first
// token on that is read into it, and keeps it.
func (c *Cache) Place(sequence int, blocks ...int32) {
	c.tables[sequence] = blocks
	for _, b := range blocks {
		for int(b) >= len(c.blocks) {
			c.blocks = append(c.blocks, nil)
		}
	}
}

// make makes a block, if it is not there yet.
func (c *Cache) make(block int32) {
	if c.blocks[block] == nil {
		c.blocks[block] = kernel.Aligned(int(c.BlockBytes() / 4))
	}
}

// Copy copies what a block has of its first positions to another one.
func (c *Cache) Copy(to, from int32, positions int) {
	c.make(to)
	for layer := range c.layers {
		for kv := range c.shape.KVHeads {
			keys, values := c.of(to, layer, kv)
			keysFrom, valuesFrom := c.of(from, layer, kv)
			for j := range c.shape.HeadDim {
				copy(keys.Data[j*BlockTokens:j*BlockTokens+positions], keysFrom.Data[j*BlockTokens:])
			}
			copy(values.Data[:positions*c.shape.HeadDim], valuesFrom.Data)
		}
	}
}

// of are the keys and values of a block, a layer and a head of keys.
func (c *Cache) of(block int32, layer, kv int) (keys, values kernel.Matrix) {
	n := c.shape.HeadDim * BlockTokens
	at := c.blocks[block][2*n*(layer*c.shape.KVHeads+kv):]
	return kernel.Rows(at[:n], BlockTokens), kernel.Rows(at[n:2*n], c.shape.HeadDim)
}

// past are the keys and values of one head that a stream sees.
type past struct {
	cache     *Cache
	table     []int32
	layer, kv int
}

// at are the keys and values of a block from a position on, and how many of them there
// are before an end.
func (p past) at(position, end int) (keys, values kernel.Matrix, n int) {
	within := position % BlockTokens
	keys, values = p.cache.of(p.table[position/BlockTokens], p.layer, p.kv)
	return keys.From(0, within), values.From(within, 0), min(BlockTokens-within, end-position)
}

// attend adds the keys and values of a stream to those of its sequence, for one
// head of keys, and attends with its heads of queries, as Trainer.attend does.
func (d *Decoder) attend(m *reader, layer int, s stream, kv int) {
	c, y := d.net.Shape, d.layers[layer].Layer
	dim, group := c.HeadDim, c.Heads/c.KVHeads
	p := past{d.cache, d.cache.tables[s.sequence], layer, kv}
	for i := range s.count {
		row, position := s.row+i, s.position+i
		k := d.k[row*c.keys()+kv*dim : row*c.keys()+(kv+1)*dim]
		d.place(k, y, y.KNorm, position)
		keys, values := d.cache.of(p.table[position/BlockTokens], layer, kv)
		within := position % BlockTokens
		for j, v := range k {
			keys.Data[j*BlockTokens+within] = v
		}
		copy(values.Data[within*dim:(within+1)*dim], d.v[row*c.keys()+kv*dim:])
		for h := kv * group; h < (kv+1)*group; h++ {
			d.place(d.q[row*c.queries()+h*dim:row*c.queries()+(h+1)*dim], y, y.QNorm, position)
		}
	}
	if first := s.row*c.queries() + kv*group*dim; s.count == 1 { // all heads at once, that lie side by side
		d.mix(m, p, kernel.Rows(d.q[first:], dim), kernel.Rows(d.attended[first:], dim), group, s.position+1, 0)
		return
	}
	for h := range group {
		at := s.row*c.queries() + (kv*group+h)*dim
		d.mix(m, p, kernel.Rows(d.q[at:], c.queries()), kernel.Rows(d.attended[at:], c.queries()), s.count, s.position+1, 1)
	}
}

// place normalises a head, where the network does, and turns it to its position.
func (d *Decoder) place(head []float32, l *Layer, norm Weight, position int) {
	if norm.Data != nil && !l.normsWhole() {
		kernel.Norm(head, head, norm.Data, d.net.Shape.Epsilon)
	}
	if l.Rotary >= 0 {
		d.rotary[l.Rotary].Turn(head, position)
	}
}

// mix is attention of n queries, of which the first sees so many positions, and
// each next one more by a step. The terms of each sum are added in the order of the
// positions, so that the blocks change nothing.
func (d *Decoder) mix(m *reader, p past, q, out kernel.Matrix, n, seen, step int) {
	c, l := d.net.Shape, d.layers[p.layer].Layer
	first := l.sees(seen-1) &^ 15 // sums are made of sixteen parts
	end := seen + (n-1)*step
	width := up16(end - first)
	m.scores = grow(m.scores, n*width)
	scores := kernel.Rows(m.scores, width)
	for at := first; at < end; {
		keys, _, count := p.at(at, end)
		m.Product(scores.From(0, at-first), q, keys, n, count, c.HeadDim, false)
		at += count
	}
	for i := range n {
		row, position := m.scores[i*width:(i+1)*width], seen+i*step-1
		f := capped(row[:position+1-first], c.scoreScale(), c.ScoreCap)
		kernel.Softmax(row, l.sees(position)-first, position+1-first, f)
	}
	for at := first; at < end; {
		_, values, count := p.at(at, end)
		m.Product(out, scores.From(0, at-first), values, n, c.HeadDim, count, at > first)
		at += count
	}
}
