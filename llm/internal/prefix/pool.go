// Package prefix hands out the blocks of a cache of keys and values, and finds those that
// hold the beginning of a prompt already, as the prefix caches of vLLM and SGLang do.
//
// The blocks are a tree: the tokens on the way from the root to a block are those that
// its keys and values depend on. Sequences that begin alike have the same blocks, as far
// as whole blocks go; where they part within a block, the later one gets a copy of what
// the earlier one has of it. What two sequences want at the same time, one computes, and
// the other waits. Blocks that no sequence has stay until there is no other room, and
// those go first that were used longest ago.
package prefix

// Pool hands out the blocks of a cache. It is not safe for concurrent use.
type Pool struct {
	size  int // positions of a block
	most  int
	copy  func(to, from int32, positions int)
	root  node
	nodes []*node // all that there are, by their blocks
	free  []*node // those that hold nothing
	held  int     // blocks that sequences have
	now   int64
}

// node is a block, as a place in the tree.
type node struct {
	block int32
	// ids are the tokens at its positions; the first ready of them are computed.
	ids   []int32
	ready int

	parent, children, next *node
	held                   int       // sequences that have it, or will copy from it
	used                   int64     // when a sequence last had it
	writer                 *Sequence // who computes what is not ready
	from                   *node     // the writer copies its first positions from here,
	copies                 int       // so many
}

// New is a pool of at most so many blocks of so many positions. copy copies what a block
// has of its first positions to another one.
func New(blocks, size int, copy func(to, from int32, positions int)) *Pool {
	return &Pool{size: size, most: blocks, copy: copy}
}

// Blocks is how many blocks hold so many positions.
func (p *Pool) Blocks(positions int) int { return (positions + p.size - 1) / p.size }

// Held is how many blocks sequences have.
func (p *Pool) Held() int { return p.held }

// Sequence is what a sequence has of a pool.
type Sequence struct {
	pool   *Pool
	nodes  []*node
	blocks []int32
}

// Blocks are the blocks of the sequence, in order.
func (s *Sequence) Blocks() []int32 { return s.blocks }

// Enter gives room for so many positions to a sequence that begins with some tokens,
// which others may have computed. It is nil where there is no room now.
func (p *Pool) Enter(ids []int32, positions int) *Sequence {
	p.now++
	s := &Sequence{pool: p}
	parent := &p.root
	for len(ids) >= p.size {
		same := parent.find(ids[:p.size])
		if same == nil {
			break
		}
		p.hold(same)
		s.nodes = append(s.nodes, same)
		parent, ids = same, ids[p.size:]
	}
	from, copies := parent.nearest(ids[:min(len(ids), p.size)])
	wanted := p.Blocks(positions) - len(s.nodes)
	if from != nil {
		p.hold(from)
		if p.held+wanted > p.most {
			p.drop(from)
			from = nil
		}
	}
	if p.held+wanted > p.most {
		for _, n := range s.nodes {
			p.drop(n)
		}
		return nil
	}
	for range wanted {
		n := p.take()
		n.writer, n.parent = s, parent
		mine := ids[:min(len(ids), p.size)]
		if n.ids = append(n.ids[:0], mine...); len(mine) > 0 {
			parent.link(n)
		}
		s.nodes = append(s.nodes, n)
		if from != nil {
			n.from, n.copies, from = from, copies, nil
		}
		parent, ids = n, ids[len(mine):]
	}
	for _, n := range s.nodes {
		s.blocks = append(s.blocks, n.block)
	}
	return s
}

// Next tells what a sequence does at a position: it computes the token there; goes on
// behind those that are there already, at the place that Next returns; or waits until
// another sequence has computed them.
func (s *Sequence) Next(position int) (next int, wait bool) {
	size := s.pool.size
	for position/size < len(s.nodes) {
		n, within := s.nodes[position/size], position%size
		if n.writer == s && n.from != nil {
			if n.from.ready < n.copies && n.from.writer != nil {
				return position, true
			}
			if n.ready = min(n.copies, n.from.ready); n.ready > 0 {
				s.pool.copy(n.block, n.from.block, n.ready)
			}
			s.pool.drop(n.from)
			n.from = nil
		}
		switch {
		case n.ready > within:
			position += n.ready - within
		case n.writer == nil: // who computed it has left
			n.writer = s
			return position, false
		default:
			return position, n.writer != s
		}
	}
	return position, false
}

// Put says that a token is at a position, which the sequence computes.
func (s *Sequence) Put(position int, id int32) {
	n := s.nodes[position/s.pool.size]
	if within := position % s.pool.size; within == len(n.ids) {
		if n.ids = append(n.ids, id); within == 0 {
			n.parent.link(n)
		}
	}
}

// Computed says that all positions before one are computed.
func (s *Sequence) Computed(positions int) {
	if positions == 0 {
		return
	}
	at := (positions - 1) / s.pool.size
	for ; at >= 0; at-- {
		n := s.nodes[at]
		ready := min(s.pool.size, positions-at*s.pool.size)
		if n.writer != s || n.ready >= ready {
			return
		}
		n.ready = ready
	}
}

// Leave gives the blocks back. What is computed of them stays for others.
func (s *Sequence) Leave() {
	for i := len(s.nodes) - 1; i >= 0; i-- {
		n := s.nodes[i]
		if n.writer == s {
			n.writer = nil
			if n.from != nil {
				s.pool.drop(n.from)
				n.from = nil
			}
		}
		s.pool.drop(n)
	}
	s.nodes = nil
}

// hold notes that one more sequence has a block.
func (p *Pool) hold(n *node) {
	if n.held == 0 {
		p.held++
	}
	n.held++
	n.used = p.now
}

// drop notes that one sequence less has a block.
func (p *Pool) drop(n *node) {
	if n.held--; n.held > 0 {
		return
	}
	p.held--
	n.used = p.now
	if n.ids = n.ids[:min(n.ready, len(n.ids))]; n.ready == 0 {
		p.empty(n)
	}
}

// empty takes a block that nobody has out of the tree.
func (p *Pool) empty(n *node) {
	n.unlink()
	n.ids, n.ready, n.parent = n.ids[:0], 0, nil
	p.free = append(p.free, n)
}

// take is a block that holds nothing, for a sequence. There must be room.
func (p *Pool) take() *node {
	switch {
	case len(p.free) > 0:
	case len(p.nodes) < p.most:
		n := &node{block: int32(len(p.nodes)), ids: make([]int32, 0, p.size)}
		p.nodes, p.free = append(p.nodes, n), append(p.free, n)
	default:
		var oldest *node
		for _, n := range p.nodes {
			if n.held == 0 && n.children == nil && (oldest == nil || n.used < oldest.used) {
				oldest = n
			}
		}
		p.empty(oldest)
	}
	n := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	p.hold(n)
	return n
}

// link adds a child.
func (n *node) link(child *node) {
	child.parent, child.next, n.children = n, n.children, child
}

// unlink takes a node out of the tree, if it is there.
func (n *node) unlink() {
	if n.parent == nil {
		return
	}
	for at := &n.parent.children; *at != nil; at = &(*at).next {
		if *at == n {
			*at, n.next = n.next, nil
			return
		}
	}
}

// find is the child with these tokens, which are a whole block; the one of which the
// most is computed.
func (n *node) find(ids []int32) (best *node) {
	for c := n.children; c != nil; c = c.next {
		if alike(c.ids, ids) == len(ids) && (best == nil || c.ready > best.ready) {
			best = c
		}
	}
	return best
}

// worthWaiting is how many tokens others must be about to compute for a sequence to wait
// for them.
const worthWaiting = 16

// nearest is the child that begins with the most of the tokens, and how many of them
// there are to copy.
func (n *node) nearest(ids []int32) (best *node, copies int) {
	for c := n.children; c != nil; c = c.next {
		same := alike(c.ids, ids)
		if same < worthWaiting {
			same = min(same, c.ready)
		}
		if same > copies {
			best, copies = c, same
		}
	}
	return best, copies
}

// alike is how many tokens both begin with.
func alike(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
