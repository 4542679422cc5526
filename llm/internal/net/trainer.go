package net

import (
	"sync/atomic"

	"github.com/tunebus/tunebus/llm/internal/crew"
	"github.com/tunebus/tunebus/llm/internal/dropout"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/rotary"
)

// activations are what a layer keeps of the way forward for the way back.
type activations struct {
	middle             []float32 // what the MLP is added to, [N, Hidden]
	attention, mlp     given     // before their norms
	roots, middleRoots []float32 // of their norms, [N]
	q, k, v, attended  []float32
	rawQ, rawK         []float32 // before the norms of the heads
	rootsQ, rootsK     []float32 // [N, Heads] and [N, KVHeads]
	logs               []float32 // of the sums of the softmax, [rows of the batch, Heads, tokens of the row]
	gate, up           []float32
	low                [linears][]float32 // what A gives, scaled, [N, Rank]
	stretched          [linears][]float32 // see projection
}

// given is what attention or the MLP gives, where that is not added as it is.
type given struct{ rows, roots []float32 } // [N, Hidden] and, of its norm, [N]

// Trainer computes losses and gradients. It is not safe for concurrent use.
type Trainer struct {
	net    *Network
	crew   *crew.Crew
	worker []worker
	rotary []rotary.Table
	// what a pass is about
	batch    batch
	learning bool
	draw     dropout.Draw
	pass     func(member int)
	next     atomic.Int64 // task of attention

	recompute   bool
	inputs      [][]float32 // of each layer, what attention is added to, [N, Hidden]
	layers      []activations
	last, final []float32 // what the layers give, before and after the norm
	roots       []float32 // of that norm
	vocabulary  vocabulary
	// what one layer needs at a time
	normed, middleNormed, through []float32 // what goes into Q, K and V, into Gate and Up, and into Down
	// gradients
	dX, dMiddle, dNormed, dMiddleNormed []float32
	dAttention, dMLP                    []float32 // of what they give
	dThrough, dGate                     []float32
	dAttended, dQ, dK, dV, dRawQ, dRawK []float32
	dLow                                [linears][]float32
	dStretched                          [linears][]float32 // of what DoRA stretches, [N, Out]
	// DoRA
	stretches   [][linears]stretch // of each layer
	isStretched bool
}

// NewTrainer makes a trainer that works with so many goroutines.
func NewTrainer(n *Network, threads int) *Trainer {
	t := &Trainer{net: n, crew: crew.New(threads), rotary: rotary.Tables(n.Shape.Rotaries, n.Shape.HeadDim), layers: make([]activations, len(n.Layers))}
	t.inputs = make([][]float32, len(n.Layers))
	t.worker = make([]worker, t.crew.Size())
	t.pass = t.run
	t.makeStretches()
	return t
}

// Recompute has the trainer keep the inputs of the layers alone, and compute the
// rest once more on the way back (Chen et al. 2016). The results are the same.
func (t *Trainer) Recompute() { t.recompute = true }

// tokens is the number of tokens of the batch.
func (t *Trainer) tokens() int { return len(t.batch.ids) }

// Loss is the sum of the negative log likelihoods of the tokens that count, in
// nats, and their number. It drops nothing. An error is a [*TokenError].
func (t *Trainer) Loss(rows []Row) (sum float64, counted int, err error) {
	t.learning = false
	return t.compute(rows)
}

// Gradients is Loss with dropout, and adds the gradients to those of the
// weights that are not frozen.
func (t *Trainer) Gradients(rows []Row, draw dropout.Draw) (sum float64, counted int, err error) {
	t.learning, t.draw = true, draw
	return t.compute(rows)
}

func (t *Trainer) compute(rows []Row) (sum float64, counted int, err error) {
	if err := t.batch.fill(rows, t.net.Shape.Vocab); err != nil {
		return 0, 0, err
	}
	s := Size{Tokens: t.tokens(), Longest: t.batch.longest, Counted: len(t.batch.where)}
	t.reserve(buffers{}, s)
	t.reserveRest(s)
	t.crew.Run(t.pass)
	for _, l := range t.vocabulary.losses { // in their order, whoever computed them
		sum += l
	}
	return sum, len(t.vocabulary.losses), nil
}

// keep is what layer l keeps. Where nothing is learned, or all is computed once
// more, all layers have one place.
func (t *Trainer) keep(l int) *activations {
	if !t.learning || t.recompute {
		l = 0
	}
	return &t.layers[l]
}

// input is what layer l is given.
func (t *Trainer) input(l int) *[]float32 {
	if !t.learning {
		l = 0
	}
	return &t.inputs[l]
}

// projection is projection i of layer l.
func (t *Trainer) projection(l, i int) projection {
	all := t.net.Layers[l].linears()
	draws := i
	for draws > 0 && sameWeight(all[draws-1].A, all[i].A) {
		draws--
	}
	return projection{Linear: all[i], layer: l, index: i, draws: draws, low: t.keep(l).low[i], stretched: t.keep(l).stretched[i]}
}

// reserve makes the buffers large enough for a batch of a size.
func (t *Trainer) reserve(r buffers, s Size) {
	c, n := t.net.Shape, s.Tokens
	t.vocabulary.reserve(r, c)
	t.reserveWorkers(r, s)
	hidden, queries, keys, through := n*c.Hidden, n*c.queries(), n*c.keys(), n*c.Intermediate
	for l := range t.net.Layers {
		y := t.keep(l)
		r.each(hidden, t.input(l), &y.middle)
		r.each(queries, &y.q, &y.attended)
		r.each(keys, &y.k, &y.v)
		r.each(n, &y.roots, &y.middleRoots)
		r.each(n*c.Heads, &y.logs)
		r.each(through, &y.gate, &y.up)
		if t.net.changesGiven() {
			r.each(hidden, &y.attention.rows, &y.mlp.rows)
			r.each(n, &y.attention.roots, &y.mlp.roots)
		}
		if t.net.headNorms() {
			r.each(queries, &y.rawQ)
			r.each(keys, &y.rawK)
			r.each(n*c.Heads, &y.rootsQ)
			r.each(n*c.KVHeads, &y.rootsK)
		}
		for i, p := range t.net.Layers[l].linears() {
			r.atLeast(n*p.Rank, &y.low[i]) // several layers may have one place
			if p.Magnitude.Data != nil {
				r.each(n*p.Out, &y.stretched[i])
			}
		}
	}
	r.each(hidden, &t.last, &t.final, &t.normed, &t.middleNormed)
	r.each(n, &t.roots)
	r.each(through, &t.through)
	if !t.learning {
		return
	}
	r.each(hidden, &t.dX, &t.dMiddle, &t.dNormed, &t.dMiddleNormed)
	if t.net.changesGiven() {
		r.each(hidden, &t.dAttention, &t.dMLP)
	}
	r.each(through, &t.dThrough, &t.dGate)
	r.each(queries, &t.dAttended, &t.dQ)
	r.each(keys, &t.dK, &t.dV)
	if t.net.headNorms() {
		r.each(queries, &t.dRawQ)
		r.each(keys, &t.dRawK)
	}
	for l := range t.net.Layers {
		for i, p := range t.net.Layers[l].linears() {
			r.atLeast(n*p.Rank, &t.dLow[i])
			if p.Magnitude.Data != nil {
				r.each(n*p.Out, &t.dStretched[i])
			}
		}
	}
}

// drops reports whether this pass drops inputs of adapters.
func (t *Trainer) drops() bool { return t.learning && t.net.Dropout > 0 }

// worker is a goroutine's part of a pass: some of the rows, and what the
// goroutine has of its own.
type worker struct {
	t                 *Trainer
	who               int
	rows              span
	scratch           kernel.Scratch
	scores, gradients []float32 // of a block of attention
	dropped           []float32 // inputs of an adapter, after dropout
	whole             []float32 // a row, before it is lost
}

// run is what one of the workers does in a pass.
func (t *Trainer) run(who int) {
	w := &t.worker[who]
	from, to := t.crew.Share(t.tokens(), 12, who)
	w.t, w.who, w.rows = t, who, span{from, to}
	w.stretch()
	w.forward()
	w.score()
	if t.learning {
		w.backward()
	}
}

// task is the next head of keys of a row of the batch that nobody works on.
func (w *worker) task() (row, kv int, ok bool) {
	t := w.t
	i := int(t.next.Add(1)) - 1
	heads := t.net.Shape.KVHeads
	return i / heads, i % heads, i < (len(t.batch.starts)-1)*heads
}
