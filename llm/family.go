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
	// reads are the keys of config.json that this family reads and others do not. In
	// those transformers has them in the configuration, and computes without them.
	reads []string
}

// has reports whether the family reads such a key.
func (f family) has(key string) bool { return slices.Contains(f.reads, key) }

// The keys that families share: of windows, of Gemma, of Granite.
var (
	qwenWindow  = []string{"sliding_window", "use_sliding_window", "max_window_layers", "layer_types"}
	gemmaKeys   = []string{"sliding_window", "layer_types", "hidden_activation", queryScalar, logitCap}
	multipliers = []string{"embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling"}
)

const (
	queryScalar = "query_pre_attn_scalar"
	scoreCap    = "attn_logit_softcapping"
	logitCap    = "final_logit_softcapping"
	localTheta  = "rope_local_base_freq"
	original    = "original_max_position_embeddings"
)

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
	all := func(c Config, _ int) bool { return c.SlidingWindow != nil }
	every := func(n int) func(Config, int) bool {
		return func(c Config, layer int) bool { return c.slides(layer, (layer+1)%n != 0) }
	}
	still := func(c Config, layer int) bool { return c.slides(layer, c.UseSlidingWindow && !c.turns(layer)) }
	none := func(Config, int) bool { return false }
	return map[string]family{
		TypeLlama: {architecture: "LlamaForCausalLM", biasIn: true, biasOut: true, norms: before, window: none},
		TypeQwen2: {
			reads:        qwenWindow,
			architecture: "Qwen2ForCausalLM", alwaysBias: true, norms: before, window: qwen,
			defaults: Config{KVHeads: 32, SlidingWindow: new(4096), MaxWindowLayers: 28},
		},
		TypeQwen3: {
			reads:        qwenWindow,
			architecture: "Qwen3ForCausalLM", biasIn: true, biasOut: true, headNorms: true, norms: before, window: qwen,
			defaults: Config{KVHeads: 32, HeadDim: 128, SlidingWindow: new(4096), MaxWindowLayers: 28},
		},
		"mistral": {
			reads:        []string{"sliding_window"},
			architecture: "MistralForCausalLM", norms: before, window: all,
			defaults: Config{KVHeads: 8, SlidingWindow: new(4096)},
		},
		"gemma2": {
			reads:        append([]string{scoreCap}, gemmaKeys...),
			architecture: "Gemma2ForCausalLM", biasIn: true, biasOut: true, norms: around, lessOne: true, embedByWidth: true, window: every(2),
			defaults: Config{
				KVHeads: 4, HeadDim: 256, TieWordEmbeddings: true, HiddenActivation: geluTanh, QueryScalar: 256, SlidingWindow: new(4096),
				ScoreCap: new(50.0), LogitCap: new(30.0),
			},
		},
		"gemma3_text": {
			reads:        append([]string{localTheta, "sliding_window_pattern"}, gemmaKeys...),
			architecture: "Gemma3ForCausalLM", biasIn: true, biasOut: true, headNorms: true, norms: around, lessOne: true, embedByWidth: true, window: every(6),
			defaults: Config{
				VocabSize: 262208, HiddenSize: 2304, IntermediateSize: 9216, Layers: 26, Heads: 8, KVHeads: 4, HeadDim: 256, MaxPositions: 131072,
				TieWordEmbeddings: true, HiddenActivation: geluTanh, QueryScalar: 256, SlidingWindow: new(4096), RopeTheta: 1e6, RopeLocalTheta: 1e4,
			},
		},
		"phi3": {
			reads:        []string{"sliding_window", "partial_rotary_factor", original},
			architecture: "Phi3ForCausalLM", norms: before, fused: true, window: all,
			defaults: Config{RMSNormEps: 1e-5, MaxPositions: 4096, OriginalMaxPositions: 4096},
		},
		"smollm3": {
			reads:        []string{"sliding_window", "use_sliding_window", "layer_types", "no_rope_layers", "no_rope_layer_interval"},
			architecture: "SmolLM3ForCausalLM", biasIn: true, biasOut: true, norms: before, window: still,
			defaults: Config{KVHeads: 4, TieWordEmbeddings: true, RopeTheta: 2e6, NoRopeInterval: 4},
		},
		"olmo2": {architecture: "Olmo2ForCausalLM", biasIn: true, biasOut: true, wholeNorms: true, norms: behind, window: none, defaults: Config{RMSNormEps: 1e-5}},
		"granite": {
			reads:        multipliers,
			architecture: "GraniteForCausalLM", biasIn: true, biasOut: true, norms: before, window: none,
			defaults: Config{EmbeddingMultiplier: 1, AttentionMultiplier: 1, ResidualMultiplier: 1, LogitsScaling: 1},
		},
	}
}

// foreign are the keys of config.json that other families read and this one does not.
func (f family) foreign() []string {
	var out []string
	for _, other := range families() {
		for _, key := range other.reads {
			if !f.has(key) && !slices.Contains(out, key) {
				out = append(out, key)
			}
		}
	}
	return out
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
