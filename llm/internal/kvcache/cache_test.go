package kvcache_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/kvcache"
)

func numbers(random *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(random.NormFloat64())
	}
	return out
}

// history are keys and values of the positions of a sequence, for a layer and a head.
type history struct{ keys, values [][]float32 }

// fill sets the positions of a sequence, all layers and heads of it.
func fill(c *kvcache.Cache, s kvcache.Shape, sequence, from, to int, random *rand.Rand, into [][]history) {
	for position := from; position < to; position++ {
		c.Reach(sequence, position)
		for layer := range s.Layers {
			for head := range s.Heads {
				k, v := numbers(random, s.HeadDim), numbers(random, s.HeadDim)
				c.Head(sequence, layer, head).Set(position, k, v)
				h := &into[layer][head]
				h.keys, h.values = append(h.keys, k), append(h.values, v)
			}
		}
	}
}

func histories(s kvcache.Shape) [][]history {
	out := make([][]history, s.Layers)
	for l := range out {
		out[l] = make([]history, s.Heads)
	}
	return out
}

// attend is attention of one query that sees so many positions, as plain loops.
func attend(h history, a kvcache.Attention, q []float32, seen int) []float64 {
	first := 0
	if a.Window > 0 {
		first = max(0, seen-a.Window)
	}
	var scores []float64
	sum, most := 0.0, math.Inf(-1)
	for p := first; p < seen; p++ {
		x := 0.0
		for j, v := range h.keys[p] {
			x += float64(v) * float64(q[j])
		}
		if x *= float64(a.Scale); a.Cap != 0 {
			x = float64(a.Cap) * math.Tanh(x/float64(a.Cap))
		}
		scores, most = append(scores, x), max(most, x)
	}
	for i, x := range scores {
		scores[i] = math.Exp(x - most)
		sum += scores[i]
	}
	out := make([]float64, len(q))
	for i, x := range scores {
		for j, v := range h.values[first+i] {
			out[j] += x / sum * float64(v)
		}
	}
	return out
}

// compare has queries of a sequence attend, and compares each with plain loops.
func compare(t *testing.T, c *kvcache.Cache, s kvcache.Shape, a kvcache.Attention, sequence, seen, n, step int, all [][]history, random *rand.Rand) {
	t.Helper()
	var scratch kvcache.Scratch
	for layer := range s.Layers {
		for head := range s.Heads {
			q, out := numbers(random, n*s.HeadDim), make([]float32, n*s.HeadDim)
			c.Head(sequence, layer, head).Attend(&scratch, a, kernel.Rows(q, s.HeadDim), kernel.Rows(out, s.HeadDim), n, seen, step)
			for i := range n {
				want := attend(all[layer][head], a, q[i*s.HeadDim:(i+1)*s.HeadDim], seen+i*step)
				for j, w := range want {
					if got := float64(out[i*s.HeadDim+j]); math.Abs(got-w) > 2e-5*max(1, math.Abs(w)) {
						t.Fatalf("layer %d, head %d, query %d, number %d: %v, want %v", layer, head, i, j, got, w)
					}
				}
			}
		}
	}
}

// TestAttend at the edges of blocks, windows and the sixteen parts of sums.
func TestAttend(t *testing.T) {
	t.Parallel()
	const block = kvcache.BlockTokens
	for _, dim := range []int{2, 8, 17} {
		for _, seen := range []int{1, 2, 15, 16, 17, block - 1, block, block + 1, 2*block + 3} {
			for _, a := range []kvcache.Attention{{Scale: 0.3}, {Scale: 0.3, Window: 1}, {Scale: 0.5, Window: 16}, {Scale: 1, Window: 37, Cap: 2}, {Scale: 1, Cap: 0.5}, {Scale: 1, Window: 10_000}} {
				t.Run(fmt.Sprintf("%d numbers, %d seen, %+v", dim, seen, a), func(t *testing.T) {
					t.Parallel()
					random := rand.New(rand.NewPCG(uint64(dim), uint64(seen)))
					s := kvcache.Shape{Layers: 2, Heads: 2, HeadDim: dim}
					c, all := kvcache.New(s, 3), histories(s)
					c.Place(1, 4, 0, 2) // in any order
					fill(c, s, 1, 0, seen+4, random, all)
					compare(t, c, s, a, 1, seen, 1, 1, all, random)
					compare(t, c, s, a, 1, seen, 3, 1, all, random) // of a prompt: each sees one more
					compare(t, c, s, a, 1, seen, 2, 0, all, random) // of several heads: both see as much
				})
			}
		}
	}
}

// TestSharedBlocks: sequences have blocks in common, and part behind them.
func TestSharedBlocks(t *testing.T) {
	t.Parallel()
	const block = kvcache.BlockTokens
	random := rand.New(rand.NewPCG(1, 2))
	s := kvcache.Shape{Layers: 2, Heads: 1, HeadDim: 6}
	c, all := kvcache.New(s, 2), histories(s)
	c.Place(0, 0, 1)
	fill(c, s, 0, 0, block+10, random, all)
	c.Place(1, 0, 2)
	c.Copy(2, 1, 7)
	other := histories(s)
	for l := range all {
		for h := range all[l] {
			other[l][h] = history{slices.Clone(all[l][h].keys[:block+7]), slices.Clone(all[l][h].values[:block+7])}
		}
	}
	fill(c, s, 1, block+7, block+20, random, other)
	compare(t, c, s, kvcache.Attention{Scale: 0.4}, 0, block+10, 1, 1, all, random)
	compare(t, c, s, kvcache.Attention{Scale: 0.4}, 1, block+20, 1, 1, other, random)
}

// TestPlaceAgain: a block that another sequence gets holds what that one sets.
func TestPlaceAgain(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	s := kvcache.Shape{Layers: 1, Heads: 2, HeadDim: 4}
	c := kvcache.New(s, 2)
	c.Place(0, 1)
	fill(c, s, 0, 0, 20, random, histories(s))
	c.Place(0)
	c.Place(1, 1)
	all := histories(s)
	fill(c, s, 1, 0, 9, random, all)
	compare(t, c, s, kvcache.Attention{Scale: 1}, 1, 9, 1, 1, all, random)
}

// TestBlockBytes: a block takes memory from the first position on that is reached.
func TestBlockBytes(t *testing.T) {
	s := kvcache.Shape{Layers: 3, Heads: 2, HeadDim: 5}
	c := kvcache.New(s, 1)
	if got, want := c.BlockBytes(), int64(2*4*kvcache.BlockTokens*3*2*5); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	c.Place(0, 0, 1, 2)
	if n := testing.AllocsPerRun(1, func() { c.Reach(0, 0); c.Reach(0, kvcache.BlockTokens-1) }); n != 0 { // a first call is no part of the count
		t.Errorf("the same block is made %v times", n)
	}
	if n := testing.AllocsPerRun(1, func() { c.Place(0, 0, 1, 2) }); n > 1 {
		t.Errorf("to place a sequence allocates %v times", n)
	}
}
