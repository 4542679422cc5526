package llm

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// reference is the network once more, as plain loops over float64 that share
// nothing with the graph but the weights and the names.
type reference struct {
	cfg    Config
	params map[string]*param
	w      map[string][]float64
	scale  float64
	// keep says, by module, which inputs of the adapter stay at a position.
	keep     map[string][]bool
	position int
}

func newReference(m *Model) *reference {
	r := &reference{cfg: m.cfg, params: map[string]*param{}, w: map[string][]float64{}}
	if m.lora != nil {
		r.scale = m.lora.modules[0].scale
	}
	for _, p := range m.all() {
		values := make([]float64, len(p.data))
		for i, v := range p.data {
			values[i] = float64(v)
		}
		r.params[p.name], r.w[p.name] = p, values
	}
	return r
}

// product is W·x for a weight [out, in].
func (r *reference) product(name string, x []float64) []float64 {
	w := r.w[name]
	out := make([]float64, r.params[name].shape[0])
	for o := range out {
		for i, v := range x {
			out[o] += w[o*len(x)+i] * v
		}
	}
	return out
}

func (r *reference) linear(name string, x []float64) []float64 {
	y := r.product(name+".weight", x)
	for i, b := range r.w[name+".bias"] {
		y[i] += b
	}
	if _, ok := r.w[name+".lora_A.weight"]; ok {
		if keep, ok := r.keep[name]; ok {
			n := len(x)
			kept := make([]float64, n)
			for i, v := range x {
				if keep[r.position*n+i] {
					kept[i] = v / (1 - 0.4)
				}
			}
			x = kept
		}
		for i, v := range r.product(name+".lora_B.weight", r.product(name+".lora_A.weight", x)) {
			y[i] += r.scale * v
		}
	}
	return y
}

func (r *reference) norm(name string, x []float64) []float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	root := math.Sqrt(sum/float64(len(x)) + r.cfg.RMSNormEps)
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / root * r.w[name][i]
	}
	return out
}

// rotate turns each pair (j, j+half) of each head as a complex number.
func (r *reference) rotate(x []float64, position int) {
	dim := r.cfg.HeadDim
	for head := 0; head < len(x); head += dim {
		for j := range dim / 2 {
			angle := float64(position) * r.frequency(j)
			a, b := x[head+j], x[head+j+dim/2]
			x[head+j] = a*math.Cos(angle) - b*math.Sin(angle)
			x[head+j+dim/2] = b*math.Cos(angle) + a*math.Sin(angle)
		}
	}
}

// frequency follows the description of each scaling by wave lengths.
func (r *reference) frequency(pair int) float64 {
	f := 1 / math.Pow(r.cfg.RopeTheta, 2*float64(pair)/float64(r.cfg.HeadDim))
	s := r.cfg.RopeScaling
	if s == nil {
		return f
	}
	if s.Type == "linear" {
		return f / s.Factor
	}
	wave := 2 * math.Pi / f
	switch {
	case wave < s.OriginalMaxPositions/s.HighFreqFactor:
		return f
	case wave > s.OriginalMaxPositions/s.LowFreqFactor:
		return f / s.Factor
	}
	smooth := (s.OriginalMaxPositions/wave - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	return (1-smooth)*f/s.Factor + smooth*f
}

// heads normalises each head on its own, where the family does.
func (r *reference) heads(name string, x []float64) {
	if _, ok := r.w[name]; !ok {
		return
	}
	for at := 0; at < len(x); at += r.cfg.HeadDim {
		copy(x[at:at+r.cfg.HeadDim], r.norm(name, x[at:at+r.cfg.HeadDim]))
	}
}

func softmax(x []float64) []float64 {
	most, sum := slices.Max(x), 0.0
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = math.Exp(v - most)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// logits are those of every position.
func (r *reference) logits(ids []int32) [][]float64 {
	c := r.cfg
	x := make([][]float64, len(ids))
	for t, id := range ids {
		x[t] = slices.Clone(r.w["model.embed_tokens.weight"][int(id)*c.HiddenSize : (int(id)+1)*c.HiddenSize])
	}
	for l := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		var keys, values [][]float64
		for t := range x {
			r.position = t
			in := r.norm(p+"input_layernorm.weight", x[t])
			q, k := r.linear(p+"self_attn.q_proj", in), r.linear(p+"self_attn.k_proj", in)
			r.heads(p+"self_attn.q_norm.weight", q)
			r.heads(p+"self_attn.k_norm.weight", k)
			r.rotate(q, t)
			r.rotate(k, t)
			keys, values = append(keys, k), append(values, r.linear(p+"self_attn.v_proj", in))
			var mixed []float64
			for h := range c.Heads {
				from := h / (c.Heads / c.KVHeads) * c.HeadDim
				scores := make([]float64, t+1)
				for s := range scores {
					for d := range c.HeadDim {
						scores[s] += q[h*c.HeadDim+d] * keys[s][from+d]
					}
					scores[s] /= math.Sqrt(float64(c.HeadDim))
				}
				out := make([]float64, c.HeadDim)
				for s, share := range softmax(scores) {
					for d := range out {
						out[d] += share * values[s][from+d]
					}
				}
				mixed = append(mixed, out...)
			}
			addTo(x[t], r.linear(p+"self_attn.o_proj", mixed))
			in = r.norm(p+"post_attention_layernorm.weight", x[t])
			gate, up := r.linear(p+"mlp.gate_proj", in), r.linear(p+"mlp.up_proj", in)
			for i, g := range gate {
				gate[i] = g / (1 + math.Exp(-g)) * up[i]
			}
			addTo(x[t], r.linear(p+"mlp.down_proj", gate))
		}
	}
	head := "lm_head.weight"
	if c.TieWordEmbeddings {
		head = "model.embed_tokens.weight"
	}
	for t := range x {
		x[t] = r.product(head, r.norm("model.norm.weight", x[t]))
	}
	return x
}

func addTo(x, y []float64) {
	for i := range x {
		x[i] += y[i]
	}
}

// loss sums the negative log likelihoods of the tokens that count.
func (r *reference) loss(examples []Example) (sum float64, count int) {
	for _, e := range examples {
		logits := r.logits(e.IDs)
		for t := 1; t < len(e.IDs); t++ {
			if e.Count[t] {
				sum -= math.Log(softmax(logits[t-1])[e.IDs[t]])
				count++
			}
		}
	}
	return sum, count
}

// greedy answers a prompt without a cache: every token reads all before it.
func (r *reference) greedy(prompt []int32, n int) []int32 {
	ids := slices.Clone(prompt)
	for range n {
		logits := r.logits(ids)
		last := logits[len(logits)-1]
		ids = append(ids, int32(slices.Index(last, slices.Max(last))))
	}
	return ids[len(prompt):]
}

func isLoRA(name string) bool { return strings.Contains(name, ".lora_") }
