package llm

import (
	"maps"
	"slices"
	"strings"
)

// The model types that tests and makers of models name.
const (
	TypeLlama = "llama"
	TypeQwen2 = "qwen2"
	TypeQwen3 = "qwen3"
)

// family is how the models of a family differ from Llama's.
type family struct {
	// architecture is the class of transformers that config.json names.
	architecture string
	// defaults are values of config.json that transformers takes where the file
	// has none.
	defaults Config
	// biasIn and biasOut say that queries, keys and values, and the output of
	// attention, have biases where attention_bias is set; always has those of the
	// former in any case.
	biasIn, biasOut, alwaysBias bool
	// headNorms and wholeNorms are norms of queries and keys: of each head, or of
	// all as one.
	headNorms, wholeNorms bool
	// norms are the names of the norms of a layer.
	norms layerNorms
	// lessOne says that the weights of norms are stored less one.
	lessOne bool
	// fused says that queries, keys and values are one projection, and so are the
	// two that go into the MLP.
	fused bool
	// embedByWidth multiplies what the embedding gives by the root of its width.
	embedByWidth bool
	// window says which layers see the last positions alone.
	window func(c Config, layer int) bool
	// reads are the keys of config.json that this family has and most have not.
	reads keys
}

// keys are keys of config.json that count in some families alone. In the others
// transformers has them in the configuration, and computes without them.
type keys struct {
	partialRotary, queryScalar, scoreCap, logitCap, localTheta, multipliers, noRope bool
}

// drop takes those keys out of a configuration that its family does not read.
func (k keys) drop(c *Config) {
	if !k.partialRotary {
		c.PartialRotary = 0
	}
	if !k.queryScalar {
		c.QueryScalar = 0
	}
	if !k.scoreCap {
		c.ScoreCap = nil
	}
	if !k.logitCap {
		c.LogitCap = nil
	}
	if !k.localTheta {
		c.RopeLocalTheta = 0
	}
	if !k.multipliers {
		c.EmbeddingMultiplier, c.AttentionMultiplier, c.ResidualMultiplier, c.LogitsScaling = 0, 0, 0, 0
	}
	if !k.noRope {
		c.NoRopeLayers, c.NoRopeInterval = nil, 0
	}
}

// layerNorms are the names of the norms before and behind attention and the MLP;
// empty: there is none.
type layerNorms struct{ attention, attentionPost, mlp, mlpPost string }

// before are Llama's norms, around those of Gemma, behind those of OLMo 2.
var (
	before = layerNorms{attention: "input_layernorm", mlp: "post_attention_layernorm"}
	around = layerNorms{"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"}
	behind = layerNorms{attentionPost: "post_attention_layernorm", mlpPost: "post_feedforward_layernorm"}
)

// families are those that the engine knows, by the model_type of config.json. Their
// source is transformers 5, models/*/configuration_*.py and modeling_*.py.
func families() map[string]family {
	qwen := func(c Config, layer int) bool {
		return c.UseSlidingWindow && c.slides(layer, layer >= c.MaxWindowLayers)
	}
	all := func(c Config, layer int) bool { return c.slides(layer, true) }
	every := func(n int) func(Config, int) bool {
		return func(c Config, layer int) bool { return c.slides(layer, (layer+1)%n != 0) }
	}
	still := func(c Config, layer int) bool { return c.UseSlidingWindow && c.slides(layer, !c.turns(layer)) }
	none := func(Config, int) bool { return false }
	return map[string]family{
		TypeLlama: {architecture: "LlamaForCausalLM", biasIn: true, biasOut: true, norms: before, window: none},
		TypeQwen2: {architecture: "Qwen2ForCausalLM", alwaysBias: true, norms: before, window: qwen, defaults: Config{MaxWindowLayers: 28}},
		TypeQwen3: {architecture: "Qwen3ForCausalLM", biasIn: true, biasOut: true, headNorms: true, norms: before, window: qwen, defaults: Config{HeadDim: 128, MaxWindowLayers: 28}},
		"mistral": {architecture: "MistralForCausalLM", norms: before, window: all},
		"gemma2": {
			reads:        keys{queryScalar: true, scoreCap: true, logitCap: true},
			architecture: "Gemma2ForCausalLM", biasIn: true, biasOut: true, norms: around, lessOne: true, embedByWidth: true, window: every(2),
			defaults: Config{TieWordEmbeddings: true, HeadDim: 256, HiddenAct: geluTanh, QueryScalar: 256, SlidingWindow: new(4096), ScoreCap: new(50.0), LogitCap: new(30.0)},
		},
		"gemma3_text": {
			reads:        keys{queryScalar: true, logitCap: true, localTheta: true},
			architecture: "Gemma3ForCausalLM", biasIn: true, biasOut: true, headNorms: true, norms: around, lessOne: true, embedByWidth: true, window: every(6),
			defaults: Config{
				VocabSize: 262208, HiddenSize: 2304, IntermediateSize: 9216, Layers: 26, Heads: 8, KVHeads: 4, HeadDim: 256, MaxPositions: 131072,
				TieWordEmbeddings: true, HiddenAct: geluTanh, QueryScalar: 256, SlidingWindow: new(4096), RopeTheta: 1e6, RopeLocalTheta: 1e4,
			},
		},
		"phi3":    {reads: keys{partialRotary: true}, architecture: "Phi3ForCausalLM", norms: before, fused: true, window: all, defaults: Config{RMSNormEps: 1e-5}},
		"smollm3": {reads: keys{noRope: true}, architecture: "SmolLM3ForCausalLM", biasIn: true, biasOut: true, norms: before, window: still, defaults: Config{TieWordEmbeddings: true, RopeTheta: 2e6, NoRopeInterval: 4}},
		"olmo2":   {architecture: "Olmo2ForCausalLM", biasIn: true, biasOut: true, wholeNorms: true, norms: behind, window: none, defaults: Config{RMSNormEps: 1e-5}},
		"granite": {
			reads:        keys{multipliers: true},
			architecture: "GraniteForCausalLM", biasIn: true, biasOut: true, norms: before, window: none,
			defaults: Config{EmbeddingMultiplier: 1, AttentionMultiplier: 1, ResidualMultiplier: 1, LogitsScaling: 1},
		},
	}
}

// family is that of the model.
func (c Config) family() family { return families()[c.ModelType] }

// knownFamilies names them, and the models that see.
func knownFamilies() string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(families())), maps.Keys(seeing()))
	slices.Sort(names)
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// slides reports whether a layer sees the last sliding_window positions alone. Where
// config.json does not say which layers do, usual is the family's rule.
func (c Config) slides(layer int, usual bool) bool {
	if c.SlidingWindow == nil {
		return false
	}
	if len(c.LayerTypes) > layer {
		return c.LayerTypes[layer] == slidingLayer
	}
	return usual
}

// The types of layers in config.json.
const (
	fullLayer    = "full_attention"
	slidingLayer = "sliding_attention"
)

// turns reports whether the heads of a layer turn by their positions.
func (c Config) turns(layer int) bool {
	if len(c.NoRopeLayers) > layer {
		return c.NoRopeLayers[layer] != 0 // which says of which layers it has them, whatever its name
	}
	return c.NoRopeInterval == 0 || (layer+1)%c.NoRopeInterval != 0
}

// modules are the projections of a layer, in its order, with their outputs and
// inputs.
func (c Config) modules() []module {
	h, kv, q := c.HiddenSize, c.KVHeads*c.HeadDim, c.Heads*c.HeadDim
	f := c.family()
	in := f.alwaysBias || f.biasIn && c.AttentionBias
	attention := []module{{"self_attn.q_proj", q, h, in}, {"self_attn.k_proj", kv, h, in}, {"self_attn.v_proj", kv, h, in}}
	mlp := []module{{"mlp.gate_proj", c.IntermediateSize, h, false}, {"mlp.up_proj", c.IntermediateSize, h, false}}
	if f.fused {
		attention = []module{{"self_attn.qkv_proj", q + 2*kv, h, in}}
		mlp = []module{{"mlp.gate_up_proj", 2 * c.IntermediateSize, h, false}}
	}
	attention = append(attention, module{"self_attn.o_proj", h, q, f.biasOut && c.AttentionBias})
	return append(append(attention, mlp...), module{"mlp.down_proj", h, c.IntermediateSize, false})
}

// module is a projection of a layer.
type module struct {
	name    string
	out, in int
	bias    bool
}

// last is its name without its place.
func (m module) last() string { return m.name[strings.LastIndexByte(m.name, '.')+1:] }

// projections are the modules of the model that an adapter can be attached to.
func (c Config) projections() []string {
	var out []string
	for _, m := range c.modules() {
		out = append(out, m.last())
	}
	return out
}
