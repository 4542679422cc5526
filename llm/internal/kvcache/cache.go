// Package kvcache keeps the keys and values of sequences in blocks of positions. Several
// sequences may have the same blocks, where they begin with the same tokens.
package kvcache

import "github.com/tunebus/tunebus/llm/internal/kernel"

// BlockTokens is how many positions a block has.
const BlockTokens = 64

// Shape is of what a cache keeps keys and values: of so many layers, heads of keys, and
// numbers of a head.
type Shape struct{ Layers, Heads, HeadDim int }

// Cache has the keys and values of sequences.
type Cache struct {
	shape  Shape
	tables [][]int32 // the blocks of each sequence
	// Each block has, for each layer and head of keys, [HeadDim, BlockTokens] and
	// [BlockTokens, HeadDim].
	blocks [][]float32
}

// New makes a cache for so many sequences.
func New(s Shape, sequences int) *Cache {
	return &Cache{shape: s, tables: make([][]int32, sequences)}
}

// BlockBytes is how much memory a block takes.
func (c *Cache) BlockBytes() int64 {
	return 8 * BlockTokens * int64(c.shape.Layers) * int64(c.shape.Heads) * int64(c.shape.HeadDim)
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

// Reach makes the block of a position of a sequence, if it is not there yet.
func (c *Cache) Reach(sequence, position int) { c.make(c.tables[sequence][position/BlockTokens]) }

func (c *Cache) make(block int32) {
	if c.blocks[block] == nil {
		c.blocks[block] = kernel.Aligned(int(c.BlockBytes() / 4))
	}
}

// Copy copies what a block has of its first positions to another one.
func (c *Cache) Copy(to, from int32, positions int) {
	c.make(to)
	for layer := range c.shape.Layers {
		for head := range c.shape.Heads {
			keys, values := c.of(to, layer, head)
			keysFrom, valuesFrom := c.of(from, layer, head)
			for j := range c.shape.HeadDim {
				copy(keys.Data[j*BlockTokens:j*BlockTokens+positions], keysFrom.Data[j*BlockTokens:])
			}
			copy(values.Data[:positions*c.shape.HeadDim], valuesFrom.Data)
		}
	}
}

// of are the keys and values of a block, a layer and a head of keys.
func (c *Cache) of(block int32, layer, head int) (keys, values kernel.Matrix) {
	n := c.shape.HeadDim * BlockTokens
	at := c.blocks[block][2*n*(layer*c.shape.Heads+head):]
	return kernel.Rows(at[:n], BlockTokens), kernel.Rows(at[n:2*n], c.shape.HeadDim)
}

// Head are the keys and values of one sequence, layer and head of keys.
type Head struct {
	cache       *Cache
	table       []int32
	layer, head int
}

// Head is a head of a sequence.
func (c *Cache) Head(sequence, layer, head int) Head { return Head{c, c.tables[sequence], layer, head} }

// Set sets the keys and values of a position.
func (h Head) Set(position int, keys, values []float32) {
	toKeys, toValues := h.cache.of(h.table[position/BlockTokens], h.layer, h.head)
	within := position % BlockTokens
	for j, v := range keys {
		toKeys.Data[j*BlockTokens+within] = v
	}
	copy(toValues.Data[within*len(values):], values)
}

// at are the keys, [HeadDim, n], and values, [n, HeadDim], of n positions from one on:
// those of its block that are before an end.
func (h Head) at(position, end int) (keys, values kernel.Matrix, n int) {
	within := position % BlockTokens
	keys, values = h.cache.of(h.table[position/BlockTokens], h.layer, h.head)
	return keys.From(0, within), values.From(within, 0), min(BlockTokens-within, end-position)
}
