package llm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/net"
)

// Model is a model with its weights, and the adapter on top of it if there
// is one. It is not safe for concurrent use.
type Model struct {
	cfg Config
	// file is the config.json of the checkpoint; nil: the model is from none.
	file   []byte
	params []*param // the base weights, in the order of layout
	byName map[string]*param
	lora   *adapter
	// decodes is nil until the model generates.
	decodes *net.Decoder
}

// param is one weight.
type param struct {
	name  string
	shape []int
	data  []float32
	// kept is a matrix that does not change, in the type in which it is kept, in place
	// of data.
	kept *kernel.Packed
}

func (p *param) size() int {
	n := 1
	for _, d := range p.shape {
		n *= d
	}
	return n
}

// layout lists the weights of a model: their Hugging Face names and shapes.
func layout(c Config) []*param {
	var out []*param
	add := func(name string, shape ...int) { out = append(out, &param{name: name, shape: shape}) }
	h, kv, q := c.HiddenSize, c.KVHeads*c.HeadDim, c.Heads*c.HeadDim
	f := c.family()
	add(embedName, c.VocabSize, h)
	for l := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", l)
		norm := func(name string, width int) {
			if name != "" {
				add(p+name+".weight", width)
			}
		}
		norm(f.norms.attention, h)
		modules := c.modules()
		mlp := slices.IndexFunc(modules, func(m module) bool { return strings.HasPrefix(m.name, "mlp.") })
		linear := func(m module) {
			add(p+m.name+".weight", m.out, m.in)
			if m.bias {
				add(p+m.name+".bias", m.out)
			}
		}
		for _, m := range modules[:mlp] {
			linear(m)
		}
		switch {
		case f.headNorms:
			norm("self_attn.q_norm", c.HeadDim)
			norm("self_attn.k_norm", c.HeadDim)
		case f.wholeNorms:
			norm("self_attn.q_norm", q)
			norm("self_attn.k_norm", kv)
		}
		norm(f.norms.attentionPost, h)
		norm(f.norms.mlp, h)
		for _, m := range modules[mlp:] {
			linear(m)
		}
		norm(f.norms.mlpPost, h)
	}
	add("model.norm.weight", h)
	if !c.TieWordEmbeddings {
		add(headName, c.VocabSize, h)
	}
	return out
}

func newModel(c Config) *Model {
	m := &Model{cfg: c, params: layout(c), byName: map[string]*param{}}
	for _, p := range m.params {
		m.byName[p.name] = p
	}
	return m
}

// New makes a model with random weights: normally distributed with the
// config's initializer_range, norms one, biases zero. The same seed gives the
// same model.
func New(cfg Config, seed int64) (*Model, error) {
	cfg, err := withUsual(cfg).complete()
	if err != nil {
		return nil, fmt.Errorf("new model: %w", err)
	}
	m := newModel(cfg)
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	for _, p := range m.params {
		p.data = make([]float32, p.size())
		switch {
		case isNorm(p.name):
			for i := range p.data {
				p.data[i] = 1
			}
		case !strings.HasSuffix(p.name, ".bias"):
			for i := range p.data {
				p.data[i] = float32(rng.NormFloat64() * cfg.InitializerRange)
			}
		}
	}
	return m, nil
}

// Save writes config.json and model.safetensors with weights of dtype
// "float32", "float16" or "bfloat16". An adapter is not merged into them. config.json is
// that of the checkpoint, with what is no longer so; see [RewriteConfig].
func (m *Model) Save(dir, dtype string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	body, err := m.describe(dtype)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), body, 0o600); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return writeTensors(filepath.Join(dir, "model.safetensors"), dtype, m.stored())
}

// stored are the base weights as the family stores them.
func (m *Model) stored() []*param {
	if !m.cfg.family().lessOne {
		return m.params
	}
	out := slices.Clone(m.params)
	for i, p := range out {
		if isNorm(p.name) {
			out[i] = &param{name: p.name, shape: p.shape, data: slices.Clone(p.data)}
			for j := range p.data {
				out[i].data[j]--
			}
		}
	}
	return out
}

// isNorm reports whether a weight is that of a norm.
func isNorm(name string) bool { return strings.Contains(name, "norm") }

// Config is the model's configuration.
func (m *Model) Config() Config { return m.cfg }

// Parameters counts the base weights.
func (m *Model) Parameters() int64 { return count(m.params) }

// TrainableParameters counts the weights that Train changes.
func (m *Model) TrainableParameters() int64 { return count(m.trainable()) }

// trainable are the adapter's weights, or all where there is none.
func (m *Model) trainable() []*param {
	if m.lora != nil {
		return m.lora.params
	}
	return m.params
}

func count(params []*param) int64 {
	n := int64(0)
	for _, p := range params {
		n += int64(p.size())
	}
	return n
}

func sameShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
