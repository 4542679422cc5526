package prefix_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/llm/internal/prefix"
)

// cache stands for the keys and values of a pool's blocks: at each position is a number
// that depends on all tokens up to there, as keys and values do.
type cache struct {
	size   int
	blocks map[int32][]uint64
	copied int // positions that were copied between blocks
}

func newCache(size int) *cache { return &cache{size: size, blocks: map[int32][]uint64{}} }

func (c *cache) of(block int32) []uint64 {
	if c.blocks[block] == nil {
		c.blocks[block] = make([]uint64, c.size)
	}
	return c.blocks[block]
}

func (c *cache) copy(to, from int32, positions int) {
	copy(c.of(to)[:positions], c.of(from))
	c.copied += positions
}

// at is the number that belongs at the last of some tokens.
func at(ids []int32) uint64 {
	h := uint64(1)
	for _, id := range ids {
		h = (h ^ uint64(id+1)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

// row is a sequence that reads tokens.
type row struct {
	*prefix.Sequence
	ids  []int32
	next int
	mine int // tokens that it computed itself
}

// step has a row compute at most so many tokens, and reports whether it waits. What it
// finds there already is compared with what belongs there.
func (c *cache) step(t testing.TB, r *row, most int) (waits bool) {
	t.Helper()
	for range most {
		if r.next >= len(r.ids)-1 { // the last token is always computed anew
			return false
		}
		next, wait := r.Next(r.next)
		for p := r.next; p < min(next, len(r.ids)); p++ {
			if got := c.of(r.Blocks()[p/c.size])[p%c.size]; got != at(r.ids[:p+1]) {
				t.Fatalf("position %d of %v was not computed", p, r.ids)
			}
		}
		if r.next = min(next, len(r.ids)-1); wait {
			return true
		}
		if r.next >= len(r.ids)-1 {
			return false
		}
		r.Put(r.next, r.ids[r.next])
		c.of(r.Blocks()[r.next/c.size])[r.next%c.size] = at(r.ids[:r.next+1])
		r.mine++
		r.next++
		r.Computed(r.next)
	}
	return false
}

func (c *cache) enter(t testing.TB, p *prefix.Pool, ids []int32, positions int) *row {
	t.Helper()
	s := p.Enter(ids, positions)
	if s == nil {
		return nil
	}
	if n := len(s.Blocks()); n < p.Blocks(positions) {
		t.Fatalf("%d blocks for %d positions", n, positions)
	}
	return &row{Sequence: s, ids: ids}
}

// upTo are the numbers from one to another, that one left out.
func upTo(from, to int32) []int32 {
	var out []int32
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

// TestBlocks of lengths of every kind.
func TestBlocks(t *testing.T) {
	t.Parallel()
	p := prefix.New(3, 4, newCache(4).copy)
	for positions, want := range map[int]int{0: 0, 1: 1, 3: 1, 4: 1, 5: 2, 8: 2, 9: 3, 1000: 250} {
		if got := p.Blocks(positions); got != want {
			t.Errorf("%d blocks for %d positions, want %d", got, positions, want)
		}
	}
}

// TestRefusal: a sequence that does not fit is refused, and leaves all as it was.
func TestRefusal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		blocks, held int // the pool, and what another sequence has of it
		ids          int
		positions    int
		fits         bool
	}{
		{0, 0, 0, 0, true}, {0, 0, 1, 1, false}, {1, 0, 0, 4, true}, {1, 0, 0, 5, false}, {3, 0, 12, 12, true}, {3, 0, 12, 13, false},
		{3, 1, 0, 8, true}, {3, 1, 0, 9, false}, {3, 3, 0, 1, false}, {3, 3, 0, 0, true}, {3, 0, 0, 1 << 40, false}, {2, 0, 9, 1, true},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			t.Parallel()
			p := prefix.New(c.blocks, 4, newCache(4).copy)
			if p.Enter(upTo(100, 100), 4*c.held) == nil || p.Held() != c.held {
				t.Fatalf("%d blocks are held, want %d", p.Held(), c.held)
			}
			s := p.Enter(upTo(0, int32(c.ids)), c.positions)
			if (s != nil) != c.fits {
				t.Fatalf("it fits: %t", s != nil)
			}
			if s == nil && p.Held() != c.held {
				t.Errorf("%d blocks are held behind the refusal, want %d", p.Held(), c.held)
			}
			if s != nil {
				s.Leave()
				if s.Leave(); p.Held() != c.held { // a second time does nothing
					t.Errorf("%d blocks are held behind the end, want %d", p.Held(), c.held)
				}
			}
		})
	}
}

// TestReuse: what an earlier sequence computed is not computed again, as far as whole
// blocks go, and of the next block it is copied.
func TestReuse(t *testing.T) {
	t.Parallel()
	const size = 4
	first := upTo(0, 11)
	for name, c := range map[string]struct {
		ids          []int32
		mine, copied int
	}{
		"the same":             {first, 0, 2},
		"longer":               {append(slices.Clone(first), 90, 91, 92), 3, 2},
		"parts behind a block": {append(upTo(0, 8), 50, 51, 52), 2, 0},
		"parts within a block": {append(upTo(0, 6), 50, 51, 52), 2, 2},
		"parts at once":        {upTo(1, 9), 7, 0},
		"shorter":              {upTo(0, 6), 0, 2},
		"one token":            {upTo(0, 1), 0, 0},
		"none":                 {nil, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := newCache(size)
			p := prefix.New(16, size, memory.copy)
			r := memory.enter(t, p, first, len(first))
			memory.step(t, r, 100)
			r.Leave()
			if r.mine != len(first)-1 || p.Held() != 0 {
				t.Fatalf("%d tokens computed, %d blocks held", r.mine, p.Held())
			}
			again := memory.enter(t, p, c.ids, len(c.ids))
			memory.step(t, again, 100)
			if again.mine != c.mine || memory.copied != c.copied {
				t.Errorf("computed %d tokens and copied %d, want %d and %d", again.mine, memory.copied, c.mine, c.copied)
			}
		})
	}
}

// TestEviction: blocks that nobody has make room, those first that were used longest ago,
// and what begins with them is computed again.
func TestEviction(t *testing.T) {
	t.Parallel()
	const size = 4
	memory := newCache(size)
	p := prefix.New(4, size, memory.copy)
	computes := func(ids []int32) int {
		t.Helper()
		r := memory.enter(t, p, ids, len(ids))
		if r == nil {
			t.Fatalf("%v does not fit", ids)
		}
		memory.step(t, r, 100)
		r.Leave()
		return r.mine
	}
	a, b, c := upTo(0, 9), upTo(100, 109), upTo(200, 205) // of three, three and two blocks
	for i, one := range []struct {
		ids  []int32
		want int
	}{
		{a, 8}, {a, 0}, // a is there
		{b, 8}, // a goes, but for one block
		{b, 0}, {c, 4}, {c, 0}, {a, 8}, {a, 0},
	} {
		if got := computes(one.ids); got != one.want {
			t.Errorf("%d: %v computes %d tokens, want %d", i, one.ids, got, one.want)
		}
	}
	if len(memory.blocks) > 4 {
		t.Errorf("%d blocks of 4", len(memory.blocks))
	}
}

// TestWaiting: of two sequences that begin alike one computes, and the other goes on
// behind it, or takes over where the first one leaves.
func TestWaiting(t *testing.T) {
	t.Parallel()
	const size = 32
	ids := upTo(0, 70)
	for name, leavesAt := range map[string]int{"to the end": -1, "the first one leaves within a block": 40, "and at once": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := newCache(size)
			p := prefix.New(8, size, memory.copy)
			first := memory.enter(t, p, ids, len(ids))
			second := memory.enter(t, p, ids, len(ids))
			if !memory.step(t, second, 1) || second.mine != 0 {
				t.Fatal("the second one does not wait")
			}
			if leavesAt >= 0 {
				memory.step(t, first, leavesAt)
				first.Leave()
			}
			for range 1000 {
				if leavesAt < 0 {
					memory.step(t, first, 1)
				}
				memory.step(t, second, 1)
			}
			if second.next != len(ids)-1 {
				t.Errorf("the second one is at %d of %d", second.next, len(ids)-1)
			}
			twice := 0
			if leavesAt < 0 {
				twice = (len(ids) - 1) % size // for so few at the end nobody waits
			}
			if all := first.mine + second.mine; all != len(ids)-1+twice {
				t.Errorf("%d and %d tokens were computed of %d, and %d twice", first.mine, second.mine, len(ids)-1, twice)
			}
		})
	}
}

// TestAnyOrder has many sequences come, read and leave in any order: none sees what was
// not computed for it, each comes to its end, and all blocks come back.
func TestAnyOrder(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 5, 16, 64} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(7, uint64(size)))
			memory := newCache(size)
			const blocks = 24
			p := prefix.New(blocks, size, memory.copy)
			var rows []*row
			ended := 0
			for range 6000 {
				switch i := random.IntN(max(len(rows), 1)); {
				case len(rows) < 6 && random.IntN(3) == 0:
					ids := make([]int32, random.IntN(4*size+3))
					for j := range ids { // most begin alike
						if ids[j] = int32(j); random.IntN(4*size) == 0 {
							ids[j] = 1000 + int32(random.IntN(2))
						}
					}
					if r := memory.enter(t, p, ids, len(ids)+random.IntN(size+1)); r != nil {
						rows = append(rows, r)
					}
				case len(rows) > 0:
					memory.step(t, rows[i], 1+random.IntN(2*size))
					if done := rows[i].next >= len(rows[i].ids)-1; done || random.IntN(40) == 0 {
						rows[i].Leave()
						if rows = slices.Delete(rows, i, i+1); done {
							ended++
						}
					}
				}
				if p.Held() > blocks {
					t.Fatalf("%d blocks are held of %d", p.Held(), blocks)
				}
			}
			for range 1000 { // nobody waits for ever
				for _, r := range rows {
					memory.step(t, r, 1)
				}
			}
			for _, r := range rows {
				if r.next < len(r.ids)-1 {
					t.Errorf("a sequence stays at %d of %d", r.next, len(r.ids)-1)
				}
				r.Leave()
			}
			if p.Held() != 0 || ended < 100 {
				t.Errorf("%d blocks are held at the end, %d sequences ended", p.Held(), ended)
			}
		})
	}
}
