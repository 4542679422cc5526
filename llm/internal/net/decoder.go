package net

import (
	"github.com/tunebus/tunebus/llm/internal/crew"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/kvcache"
	"github.com/tunebus/tunebus/llm/internal/rotary"
)

// Token is a token that a [Decoder] reads.
type Token struct {
	ID int32
	// Sequence is the number of the sequence that it belongs to, Position its
	// place there. All tokens before it are in the cache already, or come before it.
	Sequence, Position int
	// Last asks for the logits of what comes next.
	Last bool
}

// packed is a projection as a Decoder has it.
type packed struct {
	*Linear
	weight, a, b *kernel.Packed
}

// decoded is a layer as a Decoder has it.
type decoded struct {
	*Layer
	projections [linears]packed
}

// stream are tokens of one sequence that are read together, one after the other.
type stream struct{ sequence, position, row, count int }

// Decoder computes what comes next. It is not safe for concurrent use. It has
// a copy of the weights that are not kept otherwise, so that one must be made anew when
// they change.
type Decoder struct {
	net    *Network
	crew   *crew.Crew
	member []reader
	rotary []rotary.Table
	layers []decoded
	head   *kernel.Packed
	read   func(member int)
	// how many products of two numbers a token, and its logits, take; attention apart
	products, headProducts int
	// what is being read
	cache   *kvcache.Cache
	tokens  []Token
	streams []stream
	last    []int // rows whose logits are wanted
	chosen  int   // how many were computed before
	use     func(member, place int)
	// buffers
	x, given, q, k, v, attended, gate, up, logits []float32
}

// reader is what a goroutine of a Decoder has of its own.
type reader struct {
	kernel.Scratch
	attention   kvcache.Scratch
	normed, low []float32
}

// Together is how many tokens are read at once at most.
const Together = 96

// NewDecoder makes a decoder that works with so many goroutines.
func NewDecoder(n *Network, threads int) *Decoder {
	c := n.Shape
	d := &Decoder{net: n, crew: crew.New(threads), rotary: rotary.Tables(c.Rotaries, c.HeadDim), layers: make([]decoded, len(n.Layers))}
	d.member = make([]reader, d.crew.Size())
	d.read = d.run
	var work []func()
	for l := range n.Layers {
		layer := &n.Layers[l]
		d.layers[l].Layer = layer
		for i, p := range layer.linears() {
			to := &d.layers[l].projections[i]
			to.Linear = p
			d.products += p.Out * p.In
			work = append(work, func() {
				b := p.B
				if p.Magnitude.Data == nil {
					to.weight = p.Weight.packed(p.Out, p.In)
				} else {
					var weight Weight
					weight, b = p.stretchedWeights()
					to.weight = weight.packed(p.Out, p.In)
				}
				if p.A.Data != nil {
					to.a, to.b = kernel.Pack(p.A.Data, p.Rank, p.In), kernel.Pack(b.Data, p.Out, p.Rank)
				}
			})
		}
	}
	d.headProducts = c.Vocab * c.Hidden
	work = append(work, func() { d.head = n.Head.packed(c.Vocab, c.Hidden) })
	d.crew.Run(func(who int) {
		for i := who; i < len(work); i += d.crew.Size() {
			work[i]()
		}
	})
	return d
}

// Members is the number of goroutines.
func (d *Decoder) Members() int { return d.crew.Size() }

// Logits are those of what follows a token that was read with Last, the so manieth
// of such tokens in the last call of Read.
func (d *Decoder) Logits(place int) []float32 {
	v := d.net.Shape.Vocab
	return d.logits[place*v : (place+1)*v]
}

// Read reads tokens, and adds their keys and values to a cache, which has a place for
// them. Where use is there, it is called once for each place of [Decoder.Logits], as soon
// as they are known, by the goroutines side by side, with their number below Members.
// An error is a [*TokenError], whose row is the sequence.
func (d *Decoder) Read(cache *kvcache.Cache, tokens []Token, use func(member, place int)) error {
	furthest, wanted := 0, 0
	for _, t := range tokens {
		if t.Last {
			wanted++
		}
		if t.ID < 0 || int(t.ID) >= d.net.Shape.Vocab {
			return &TokenError{Row: t.Sequence, Position: t.Position, ID: t.ID, Vocab: d.net.Shape.Vocab}
		}
		furthest = max(furthest, t.Position)
		cache.Reach(t.Sequence, t.Position)
	}
	for i := range d.rotary {
		d.rotary[i].Reach(furthest + 1)
	}
	d.cache, d.use = cache, use
	d.logits, d.chosen = grow(d.logits, wanted*d.net.Shape.Vocab), 0
	for len(tokens) > 0 {
		n := min(Together, len(tokens))
		d.begin(tokens[:n])
		d.crew.RunSome(d.work()/MemberWork, d.read)
		d.chosen += len(d.last)
		tokens = tokens[n:]
	}
	return nil
}

// MemberWork is how many products of two numbers there have to be for each goroutine of a
// [Decoder], so that they are done earlier than by fewer: some take longer to wake, and to
// hand its numbers, than to do without. Tests with small models set it to 1; no Decoder may
// read meanwhile.
var MemberWork = 3 << 20

// work is how many products of two numbers the tokens that were begun take.
func (d *Decoder) work() int {
	seen := 0
	for _, t := range d.tokens {
		seen += t.Position + 1
	}
	attention := 2 * seen * d.net.Shape.queries() * len(d.layers)
	return len(d.tokens)*d.products + len(d.last)*d.headProducts + attention
}

// begin says what is read next.
func (d *Decoder) begin(tokens []Token) {
	c, n := d.net.Shape, len(tokens)
	d.tokens, d.streams, d.last = tokens, d.streams[:0], d.last[:0]
	for row, t := range tokens {
		if i := len(d.streams) - 1; i >= 0 && d.streams[i].sequence == t.Sequence {
			d.streams[i].count++
		} else {
			d.streams = append(d.streams, stream{t.Sequence, t.Position, row, 1})
		}
		if t.Last {
			d.last = append(d.last, row)
		}
	}
	r := buffers{}
	r.each(n*c.Hidden, &d.x, &d.given)
	r.each(n*c.queries(), &d.q, &d.attended)
	r.each(n*c.keys(), &d.k, &d.v)
	r.each(n*c.Intermediate, &d.gate, &d.up)
}

// run is the part of the reading that a member does: some of the columns of
// every product, and some of the heads.
func (d *Decoder) run(who int) {
	m, c, rows := &d.member[who], d.net.Shape, len(d.tokens)
	from, to := d.crew.Share(rows, 1, who)
	for r := from; r < to; r++ {
		row := d.x[r*c.Hidden : (r+1)*c.Hidden]
		d.net.Embed.row(&m.Scratch, row, int(d.tokens[r].ID))
		scale(row, c.EmbedScale)
	}
	d.crew.Meet()
	for l := range d.layers {
		y := &d.layers[l]
		d.norm(m, y.AttentionNorm, rows)
		d.project(m, who, &y.projections[atQ], m.normed, d.q, rows, false)
		d.project(m, who, &y.projections[atK], m.normed, d.k, rows, false)
		d.project(m, who, &y.projections[atV], m.normed, d.v, rows, false)
		d.crew.Meet()
		d.normWhole(who, y, rows)
		from, to = d.crew.Share(len(d.streams)*c.KVHeads, 1, who)
		for i := from; i < to; i++ {
			d.attend(m, l, d.streams[i/c.KVHeads], i%c.KVHeads)
		}
		d.crew.Meet()
		d.add(m, who, &y.projections[atO], d.attended, y.AttentionPost, rows)
		d.norm(m, y.MLPNorm, rows)
		d.project(m, who, &y.projections[atGate], m.normed, d.gate, rows, false)
		d.project(m, who, &y.projections[atUp], m.normed, d.up, rows, false)
		from, to = d.crew.Share(c.Intermediate, kernel.PanelColumns, who)
		for r := range rows {
			gate := d.gate[r*c.Intermediate+from : r*c.Intermediate+to]
			c.gate(gate, gate, d.up[r*c.Intermediate+from:r*c.Intermediate+to])
		}
		d.crew.Meet()
		d.add(m, who, &y.projections[atDown], d.gate, y.MLPPost, rows)
	}
	d.choose(m, who)
	if d.use == nil {
		return
	}
	d.crew.Meet()
	for from, to = d.crew.Share(len(d.last), 1, who); from < to; from++ {
		d.use(who, d.chosen+from)
	}
}

// normWhole normalises queries and keys where a norm takes all heads as one.
func (d *Decoder) normWhole(who int, y *decoded, rows int) {
	c := d.net.Shape
	if !y.normsWhole() {
		return
	}
	from, to := d.crew.Share(rows, 1, who)
	for r := from; r < to; r++ {
		q, k := d.q[r*c.queries():(r+1)*c.queries()], d.k[r*c.keys():(r+1)*c.keys()]
		kernel.Norm(q, q, y.QNorm.Data, c.Epsilon)
		kernel.Norm(k, k, y.KNorm.Data, c.Epsilon)
	}
	d.crew.Meet()
}

// add adds what a projection gives to x, as worker.add does, and waits for all
// members.
func (d *Decoder) add(m *reader, who int, p *packed, in []float32, post Weight, rows int) {
	c := d.net.Shape
	if post.Data == nil && c.ResidualScale == 0 {
		d.project(m, who, p, in, d.x, rows, true)
		d.crew.Meet()
		return
	}
	d.project(m, who, p, in, d.given, rows, false)
	d.crew.Meet()
	from, to := d.crew.Share(rows, 1, who)
	for r := from; r < to; r++ {
		row := d.given[r*c.Hidden : (r+1)*c.Hidden]
		if post.Data != nil {
			kernel.Norm(row, row, post.Data, c.Epsilon)
		} else {
			scale(row, c.ResidualScale)
		}
		kernel.Add(d.x[r*c.Hidden:(r+1)*c.Hidden], row)
	}
	d.crew.Meet()
}

// choose computes the logits that are wanted.
func (d *Decoder) choose(m *reader, who int) {
	c := d.net.Shape
	m.normed = grow(m.normed, len(d.last)*c.Hidden)
	for i, r := range d.last {
		kernel.Norm(m.normed[i*c.Hidden:(i+1)*c.Hidden], d.x[r*c.Hidden:(r+1)*c.Hidden], d.net.Norm.Data, c.Epsilon)
	}
	from, to := d.crew.Share(d.head.Panels(), 1, who)
	logits := d.logits[d.chosen*c.Vocab : (d.chosen+len(d.last))*c.Vocab]
	d.head.Product(&m.Scratch, kernel.Rows(logits, c.Vocab), kernel.Rows(m.normed, c.Hidden), len(d.last), from, to, false)
	for ; len(logits) > 0; logits = logits[c.Vocab:] {
		c.finish(logits[min(from*kernel.PanelColumns, c.Vocab):min(to*kernel.PanelColumns, c.Vocab)])
	}
}

// norm normalises all rows. Every member does so, which is less work than to
// wait.
func (d *Decoder) norm(m *reader, w Weight, rows int) {
	n := d.net.Shape.Hidden
	m.normed = grow(m.normed, rows*n)
	if w.Data == nil {
		copy(m.normed, d.x[:rows*n])
		return
	}
	for r := range rows {
		kernel.Norm(m.normed[r*n:(r+1)*n], d.x[r*n:(r+1)*n], w.Data, d.net.Shape.Epsilon)
	}
}

// project computes a member's outputs of a projection, as Trainer.project
// computes them.
func (d *Decoder) project(m *reader, who int, p *packed, x, y []float32, rows int, add bool) {
	out, in := kernel.Rows(y, p.Out), kernel.Rows(x, p.In)
	from, to := d.crew.Share(p.weight.Panels(), 1, who)
	if b := p.Bias.Data; b != nil {
		first, end := from*kernel.PanelColumns, min(to*kernel.PanelColumns, p.Out)
		for r := range rows {
			if row := y[r*p.Out+first : r*p.Out+max(first, end)]; add {
				kernel.Add(row, b[first:max(first, end)])
			} else {
				copy(row, b[first:])
			}
		}
		add = true
	}
	p.weight.Product(&m.Scratch, out, in, rows, from, to, add)
	if p.a == nil {
		return
	}
	rank := p.a.Out
	m.low = grow(m.low, rows*rank)
	low := kernel.Rows(m.low, rank)
	p.a.Product(&m.Scratch, low, in, rows, 0, p.a.Panels(), false)
	kernel.Scale(m.low, p.Scale)
	p.b.Product(&m.Scratch, out, low, rows, from, to, true)
}
