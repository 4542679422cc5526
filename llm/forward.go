package llm

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// weights are the nodes of a graph's weights by name.
type weights map[string]*Node

// network builds the graph of a model.
type network struct {
	cfg   Config
	w     weights
	lora  *adapter
	cos   *Node // [1 or B, T, 1, HeadDim]
	sin   *Node
	mask  *Node // [1 or B, 1, T, S]: 0 where a position may look, else very low
	cache *cacheNodes
	// keep says, by module, which inputs of the adapter stay, [N, in]; nil
	// outside of training with dropout.
	keep weights
}

// cacheNodes are the keys and values of earlier positions, [B, S, KVHeads,
// HeadDim] for each layer, and where new ones go.
type cacheNodes struct {
	keys, values []*Node
	// at is [1, S, 1, 1]: 1 in the place of a single new token, else 0. A
	// whole prompt goes to the start.
	at *Node
}

// hidden runs the layers: ids [B, T] → [B, T, HiddenSize].
func (n *network) hidden(ids *Node) *Node {
	embed := n.w["model.embed_tokens.weight"]
	x := Gather(embed, InsertAxes(ids, -1))
	for l := range n.cfg.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		x = Add(x, n.attention(l, p+"self_attn.", n.norm(x, p+"input_layernorm.weight")))
		x = Add(x, n.mlp(p+"mlp.", n.norm(x, p+"post_attention_layernorm.weight")))
	}
	return n.norm(x, "model.norm.weight")
}

// logits projects onto the vocabulary: [N, HiddenSize] → [N, VocabSize].
func (n *network) logits(x *Node) *Node {
	head := n.w["model.embed_tokens.weight"]
	if !n.cfg.TieWordEmbeddings {
		head = n.w["lm_head.weight"]
	}
	return Einsum("nh,vh->nv", x, head)
}

// norm is RMSNorm (Zhang and Sennrich 2019). Rsqrt has no gradient on this
// backend, Reciprocal(Sqrt(x)) has.
func (n *network) norm(x *Node, name string) *Node {
	last := x.Rank() - 1
	mean := ReduceMean(Square(x), last)
	scale := Reciprocal(Sqrt(AddScalar(mean, n.cfg.RMSNormEps)))
	w := n.w[name]
	shape := make([]int, x.Rank())
	for i := range shape {
		shape[i] = 1
	}
	shape[last] = w.Shape().Dimensions[0]
	return Mul(Mul(x, InsertAxes(scale, -1)), Reshape(w, shape...))
}

// linear is x·Wᵀ + b, and the adapter's scale·x·Aᵀ·Bᵀ.
func (n *network) linear(x *Node, name string) *Node {
	d := x.Shape().Dimensions
	x = Reshape(x, d[0]*d[1], d[2]) // two axes need no transposing, forth or back
	w := n.w[name+".weight"]
	y := Einsum("ni,oi->no", x, w)
	if b, ok := n.w[name+".bias"]; ok {
		y = Add(y, Reshape(b, 1, b.Shape().Dimensions[0]))
	}
	if a, ok := n.w[name+".lora_A.weight"]; ok {
		in := x
		if keep, ok := n.keep[name]; ok {
			in = MulScalar(Where(keep, x, ZerosLike(x)), 1/(1-n.lora.cfg.Dropout))
		}
		low := Einsum("ni,ri->nr", in, a)
		y = Add(y, MulScalar(Einsum("nr,or->no", low, n.w[name+".lora_B.weight"]), n.lora.scale()))
	}
	return Reshape(y, d[0], d[1], w.Shape().Dimensions[0])
}

func (n *network) mlp(p string, x *Node) *Node {
	gate := n.linear(x, p+"gate_proj")
	return n.linear(Mul(Mul(gate, Sigmoid(gate)), n.linear(x, p+"up_proj")), p+"down_proj")
}

// rotate applies rotary position embeddings (Su et al. 2021) in Hugging
// Face's layout: the first half of a head turns with the second.
func (n *network) rotate(x *Node) *Node {
	half := n.cfg.HeadDim / 2
	a := Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, half))
	b := Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(half))
	turned := Concatenate([]*Node{Neg(b), a}, 3)
	return Add(Mul(x, n.cos), Mul(turned, n.sin))
}

func (n *network) attention(layer int, p string, x *Node) *Node {
	b, t := x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	heads, kv, dim := n.cfg.Heads, n.cfg.KVHeads, n.cfg.HeadDim
	q := Reshape(n.linear(x, p+"q_proj"), b, t, heads, dim)
	k := Reshape(n.linear(x, p+"k_proj"), b, t, kv, dim)
	if n.cfg.qkNorm() {
		q, k = n.norm(q, p+"q_norm.weight"), n.norm(k, p+"k_norm.weight")
	}
	q, k = n.rotate(q), n.rotate(k)
	v := Reshape(n.linear(x, p+"v_proj"), b, t, kv, dim)
	if c := n.cache; c != nil {
		k, v = c.put(c.keys[layer], k), c.put(c.values[layer], v)
		c.keys[layer], c.values[layer] = k, v
	}
	k, v = n.repeat(k), n.repeat(v)
	scores := MulScalar(Einsum("bthd,bshd->bhts", q, k), 1/math.Sqrt(float64(dim)))
	shape := scores.Shape().Dimensions
	scores = Add(scores, BroadcastToDims(n.mask, shape...))
	out := Einsum("bhts,bshd->bthd", Softmax(scores, 3), v)
	return n.linear(Reshape(out, b, t, heads*dim), p+"o_proj")
}

// put puts new keys or values, [B, T, KVHeads, HeadDim], into their places.
// The Go backend has no DynamicUpdateSlice.
func (c *cacheNodes) put(old, x *Node) *Node {
	if t := x.Shape().Dimensions[1]; t > 1 {
		return Concatenate([]*Node{x, Slice(old, AxisRange(), AxisRange(t))}, 1)
	}
	return Add(Mul(old, AddScalar(Neg(c.at), 1)), Mul(x, c.at))
}

// repeat gives every query head the key or value head of its group.
func (n *network) repeat(x *Node) *Node {
	group := n.cfg.Heads / n.cfg.KVHeads
	if group == 1 {
		return x
	}
	d := x.Shape().Dimensions
	x = Reshape(x, d[0], d[1], d[2], 1, d[3])
	x = BroadcastToDims(x, d[0], d[1], d[2], group, d[3])
	return Reshape(x, d[0], d[1], d[2]*group, d[3])
}

// low is what a position that must not be looked at adds to its score.
const low = float32(-1e9)
