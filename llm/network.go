package llm

import (
	"fmt"
	"math"
	"runtime"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/net"
)

// threads is how many goroutines work on a model. Results do not depend on it.
func threads() int { return runtime.GOMAXPROCS(0) }

// network is the model as package net computes it. gradients are those of the
// weights that learn.
func (m *Model) network(gradients map[*param][]float32) *net.Network {
	adapters, instead := map[string]adapted{}, map[string]*param{}
	out := &net.Network{Shape: m.cfg.shape()}
	if a := m.lora; a != nil {
		out.Dropout = a.cfg.Dropout
		for _, to := range a.modules {
			adapters[to.name] = to
		}
		instead = a.instead
	}
	weight := func(p *param) net.Weight {
		if p == nil { // of another family
			return net.Weight{}
		}
		if copied := instead[p.name]; copied != nil {
			p = copied
		}
		return net.Weight{Data: p.data, Grad: gradients[p], Kept: p.kept}
	}
	linear := func(module string) net.Linear {
		w, to := m.byName[module+".weight"], adapters[module]
		return net.Linear{
			Out: w.shape[0], In: w.shape[1], Weight: weight(w), Bias: weight(m.byName[module+".bias"]),
			A: weight(to.a), B: weight(to.b), Rank: to.rank, Scale: float32(to.scale), Magnitude: weight(to.magnitude),
		}
	}
	norm := func(layer, name string) net.Weight { return weight(m.byName[layer+name+".weight"]) }
	out.Embed, out.Norm = weight(m.byName[embedName]), weight(m.byName["model.norm.weight"])
	switch embed := m.byName[embedName]; {
	case !m.cfg.TieWordEmbeddings:
		out.Head = weight(m.byName[headName])
	case instead[headName] != nil:
		out.Head = weight(instead[headName])
	case instead[embedName] != nil: // the head stays as it was
		out.Head = net.Weight{Data: embed.data, Kept: embed.kept}
	default:
		out.Head = out.Embed
	}
	f := m.cfg.family()
	for l := range m.cfg.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		attention, mlp := p+"self_attn.", p+"mlp."
		layer := net.Layer{
			AttentionNorm: norm(p, f.norms.attention), AttentionPost: norm(p, f.norms.attentionPost),
			MLPNorm: norm(p, f.norms.mlp), MLPPost: norm(p, f.norms.mlpPost),
			QNorm: norm(attention, "q_norm"), KNorm: norm(attention, "k_norm"),
			O: linear(attention + "o_proj"), Down: linear(mlp + "down_proj"),
			Rotary: m.cfg.rotary(l),
		}
		if f.window(m.cfg, l) {
			layer.Window = *m.cfg.SlidingWindow
		}
		if f.fused {
			parts := linear(attention+"qkv_proj").Parts(m.cfg.Heads*m.cfg.HeadDim, m.cfg.KVHeads*m.cfg.HeadDim, m.cfg.KVHeads*m.cfg.HeadDim)
			layer.Q, layer.K, layer.V = parts[0], parts[1], parts[2]
			parts = linear(mlp+"gate_up_proj").Parts(m.cfg.IntermediateSize, m.cfg.IntermediateSize)
			layer.Gate, layer.Up = parts[0], parts[1]
		} else {
			layer.Q, layer.K, layer.V = linear(attention+"q_proj"), linear(attention+"k_proj"), linear(attention+"v_proj")
			layer.Gate, layer.Up = linear(mlp+"gate_proj"), linear(mlp+"up_proj")
		}
		out.Layers = append(out.Layers, layer)
	}
	return out
}

// rotary is the place in rotaries of a layer's rotary embedding; -1: it has none.
func (c Config) rotary(layer int) int {
	switch {
	case !c.turns(layer):
		return -1
	case c.RopeLocalTheta != 0 && c.family().window(c, layer):
		return 1
	}
	return 0
}

// shape is the size of the network.
func (c Config) shape() net.Shape {
	s := net.Shape{
		Vocab: c.VocabSize, Hidden: c.HiddenSize, Intermediate: c.IntermediateSize, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Epsilon: float32(c.RMSNormEps), Rotaries: c.rotaries(), GELU: c.HiddenAct == geluTanh,
		EmbedScale: factor(c.EmbeddingMultiplier), ResidualScale: factor(c.ResidualMultiplier), ScoreScale: float32(c.AttentionMultiplier),
	}
	if c.family().embedByWidth {
		s.EmbedScale = float32(math.Sqrt(float64(c.HiddenSize)))
	}
	if c.QueryScalar != 0 {
		s.ScoreScale = float32(1 / math.Sqrt(c.QueryScalar))
	}
	if c.LogitsScaling != 0 {
		s.LogitScale = factor(1 / c.LogitsScaling)
	}
	if c.ScoreCap != nil {
		s.ScoreCap = float32(*c.ScoreCap)
	}
	if c.LogitCap != nil {
		s.LogitCap = float32(*c.LogitCap)
	}
	return s
}

// factor is a factor as package net has it, where zero means one.
func factor(f float64) float32 {
	if f == 1 {
		return 0
	}
	return float32(f)
}

// decoder is the model as it generates, kept until a weight changes.
func (m *Model) decoder() *net.Decoder {
	if m.decodes == nil {
		m.decodes = net.NewDecoder(m.network(nil), threads())
	}
	return m.decodes
}

// changed says that weights have new values.
func (m *Model) changed() { m.decodes = nil }

// setAdapter replaces the adapter.
func (m *Model) setAdapter(a *adapter) {
	m.lora = a
	m.changed()
}

// all lists the base weights and the adapter's.
func (m *Model) all() []*param {
	if m.lora == nil {
		return m.params
	}
	return append(append([]*param(nil), m.params...), m.lora.params...)
}

// decays reports whether a weight decays: biases and norms do not, as in the
// Hugging Face trainer.
func decays(name string) bool {
	return !strings.Contains(name, "norm") && !strings.HasSuffix(name, ".bias")
}
