package llm

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/net"
)

// threads is how many goroutines work on a model. Results do not depend on it.
func threads() int { return runtime.GOMAXPROCS(0) }

// network is the model as package net computes it. gradients are those of the
// weights that learn.
func (m *Model) network(gradients map[*param][]float32) *net.Network {
	adapters := map[string]*param{}
	out := &net.Network{Shape: m.cfg.shape()}
	if a := m.lora; a != nil {
		out.Adapter = net.Adapter{Rank: a.cfg.Rank, Scale: float32(a.scale()), Dropout: a.cfg.Dropout}
		for _, p := range a.params {
			adapters[p.name] = p
		}
	}
	weight := func(p *param) net.Weight {
		if p == nil { // of another family
			return net.Weight{}
		}
		return net.Weight{Data: p.data, Grad: gradients[p]}
	}
	linear := func(module string) net.Linear {
		w := m.byName[module+".weight"]
		return net.Linear{
			Out: w.shape[0], In: w.shape[1], Weight: weight(w), Bias: weight(m.byName[module+".bias"]),
			A: weight(adapters[module+loraA]), B: weight(adapters[module+loraB]),
		}
	}
	out.Embed, out.Norm = weight(m.byName[embedName]), weight(m.byName["model.norm.weight"])
	if out.Head = out.Embed; !m.cfg.TieWordEmbeddings {
		out.Head = weight(m.byName[headName])
	}
	for l := range m.cfg.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		attention, mlp := p+"self_attn.", p+"mlp."
		out.Layers = append(out.Layers, net.Layer{
			AttentionNorm: weight(m.byName[p+"input_layernorm.weight"]), MLPNorm: weight(m.byName[p+"post_attention_layernorm.weight"]),
			QNorm: weight(m.byName[attention+"q_norm.weight"]), KNorm: weight(m.byName[attention+"k_norm.weight"]),
			Q: linear(attention + "q_proj"), K: linear(attention + "k_proj"), V: linear(attention + "v_proj"), O: linear(attention + "o_proj"),
			Gate: linear(mlp + "gate_proj"), Up: linear(mlp + "up_proj"), Down: linear(mlp + "down_proj"),
		})
	}
	return out
}

// shape is the size of the network.
func (c Config) shape() net.Shape {
	return net.Shape{
		Vocab: c.VocabSize, Hidden: c.HiddenSize, Intermediate: c.IntermediateSize, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim,
		Epsilon: float32(c.RMSNormEps), Frequencies: c.frequencies(),
	}
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
