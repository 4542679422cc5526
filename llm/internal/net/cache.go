package net

import (
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/kvcache"
)

// NewCache makes a cache of keys and values for so many sequences.
func (d *Decoder) NewCache(sequences int) *kvcache.Cache {
	c := d.net.Shape
	return kvcache.New(kvcache.Shape{Layers: len(d.layers), Heads: c.KVHeads, HeadDim: c.HeadDim}, sequences)
}

// attend adds the keys and values of a stream to those of its sequence, for one
// head of keys, and attends with its heads of queries, as Trainer.attend does.
func (d *Decoder) attend(m *reader, layer int, s stream, kv int) {
	c, y := d.net.Shape, d.layers[layer].Layer
	dim, group := c.HeadDim, c.Heads/c.KVHeads
	past, how := d.cache.Head(s.sequence, layer, kv), kvcache.Attention{Window: y.Window, Scale: c.scoreScale(), Cap: c.ScoreCap}
	for i := range s.count {
		row, position := s.row+i, s.position+i
		k := d.k[row*c.keys()+kv*dim : row*c.keys()+(kv+1)*dim]
		d.place(k, y, y.KNorm, position)
		past.Set(position, k, d.v[row*c.keys()+kv*dim:row*c.keys()+(kv+1)*dim])
		for h := kv * group; h < (kv+1)*group; h++ {
			d.place(d.q[row*c.queries()+h*dim:row*c.queries()+(h+1)*dim], y, y.QNorm, position)
		}
	}
	if first := s.row*c.queries() + kv*group*dim; s.count == 1 { // all heads at once, that lie side by side
		past.Attend(&m.attention, how, kernel.Rows(d.q[first:], dim), kernel.Rows(d.attended[first:], dim), group, s.position+1, 0)
		return
	}
	for h := range group {
		at := s.row*c.queries() + (kv*group+h)*dim
		past.Attend(&m.attention, how, kernel.Rows(d.q[at:], c.queries()), kernel.Rows(d.attended[at:], c.queries()), s.count, s.position+1, 1)
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
