package llm

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Projections are the modules that an adapter can be attached to in most families,
// and stand for all modules in others, such as Phi-3, which has two of them as one.
func Projections() []string {
	return []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
}

// LoRAConfig says what an adapter looks like (Hu et al. 2021).
type LoRAConfig struct {
	Rank  int
	Alpha float64
	// TargetModules are names of [Projections], or "all-linear" alone.
	// Default: all.
	TargetModules []string
	// RSLoRA scales by Alpha/√Rank instead of Alpha/Rank.
	RSLoRA bool
	// Dropout is the share of an adapter's inputs that Train sets to zero, at
	// least 0 and below 1; the rest is scaled up by 1/(1-Dropout).
	Dropout float64
	Seed    int64
}

type adapter struct {
	cfg     LoRAConfig
	targets targets
	params  []*param // A and B of each module in turn
}

func (a *adapter) scale() float64 {
	if a.cfg.RSLoRA {
		return a.cfg.Alpha / math.Sqrt(float64(a.cfg.Rank))
	}
	return a.cfg.Alpha / float64(a.cfg.Rank)
}

// newAdapter makes an adapter whose weights are not set yet.
func (m *Model) newAdapter(cfg LoRAConfig, on targets) (*adapter, error) {
	if cfg.Rank < 1 {
		return nil, fmt.Errorf("rank %d is less than 1", cfg.Rank)
	}
	if !(cfg.Dropout >= 0 && cfg.Dropout < 1) {
		return nil, fmt.Errorf("dropout %v is not in [0, 1)", cfg.Dropout)
	}
	matches, err := on.matcher(m.cfg)
	if err != nil {
		return nil, err
	}
	a := &adapter{cfg: cfg, targets: on}
	for _, p := range m.params {
		module, ok := strings.CutSuffix(p.name, ".weight")
		if !ok || !matches(module) {
			continue
		}
		if !m.cfg.isProjection(module) {
			return nil, fmt.Errorf("target_modules: an adapter on %s %w", module, errUnsupported)
		}
		a.params = append(a.params,
			&param{name: module + loraA, shape: []int{cfg.Rank, p.shape[1]}},
			&param{name: module + loraB, shape: []int{p.shape[0], cfg.Rank}})
	}
	if len(a.params) == 0 {
		return nil, fmt.Errorf("target_modules: no module of the model matches %v%s", on.names, on.pattern)
	}
	return a, nil
}

const (
	loraA = ".lora_A.weight"
	loraB = ".lora_B.weight"
)

// AttachLoRA puts a new adapter on the model: A uniformly distributed within
// 1/√in, B zero, as PEFT does, so that it changes nothing at first. Train
// then changes the adapter alone.
func (m *Model) AttachLoRA(cfg LoRAConfig) error {
	cfg.TargetModules = cfg.modules(m.cfg)
	for _, t := range cfg.TargetModules {
		if has := m.cfg.projections(); !slices.Contains(has, t) {
			return fmt.Errorf("attach adapter: module %q is none of %s", t, strings.Join(has, ", "))
		}
	}
	a, err := m.newAdapter(cfg, targets{names: cfg.TargetModules})
	if err != nil {
		return fmt.Errorf("attach adapter: %w", err)
	}
	rng := rand.New(rand.NewPCG(uint64(cfg.Seed), 2))
	for _, p := range a.params {
		p.data = make([]float32, p.size())
		if strings.HasSuffix(p.name, loraA) {
			bound := 1 / math.Sqrt(float64(p.shape[1]))
			for i := range p.data {
				p.data[i] = float32((2*rng.Float64() - 1) * bound)
			}
		}
	}
	m.setAdapter(a)
	return nil
}

// Excess returns the modules, by their last names, whose shorter side is below the
// rank of an adapter on a model, and the shortest of these sides. Ranks above a side
// add weights and nothing that the adapter could learn with them.
func (c LoRAConfig) Excess(of Config) (modules []string, side int) {
	on := c.modules(of)
	for _, p := range layout(of) {
		name, ok := strings.CutSuffix(p.name, ".weight")
		name = name[strings.LastIndexByte(name, '.')+1:]
		if !ok || !slices.Contains(on, name) || c.Rank <= slices.Min(p.shape) {
			continue
		}
		if side == 0 || slices.Min(p.shape) < side {
			side = slices.Min(p.shape)
		}
		if !slices.Contains(modules, name) {
			modules = append(modules, name)
		}
	}
	return modules, side
}

// modules are the modules of a model that the adapter is for.
func (c LoRAConfig) modules(of Config) []string {
	on := c.TargetModules
	if len(on) == 0 || slices.Contains(on, allLinear) {
		return of.projections()
	}
	for _, p := range Projections() { // all of them mean all that there are
		if !slices.Contains(on, p) {
			return on
		}
	}
	if len(on) == len(Projections()) {
		return of.projections()
	}
	return on
}

// LoRA says what the adapter of the model looks like; the zero value without
// one.
func (m *Model) LoRA() LoRAConfig {
	if m.lora == nil {
		return LoRAConfig{}
	}
	return m.lora.cfg
}

// SetDropout changes the dropout of the adapter, see [LoRAConfig].
func (m *Model) SetDropout(share float64) error {
	if m.lora == nil {
		return errors.New("set dropout: the model has no adapter")
	}
	if !(share >= 0 && share < 1) {
		return fmt.Errorf("dropout %v is not in [0, 1)", share)
	}
	m.lora.cfg.Dropout = share
	return nil
}

// MergeAdapter adds the adapter to the weights of the model, which then has
// none: W + scale·B·A, as PEFT's merge_and_unload does.
func (m *Model) MergeAdapter() error {
	if m.lora == nil {
		return errors.New("merge adapter: the model has none")
	}
	a := m.lora
	scale := float32(a.scale())
	for i := 0; i < len(a.params); i += 2 {
		lowA, lowB := a.params[i], a.params[i+1]
		w := m.byName[strings.TrimSuffix(lowA.name, loraA)+".weight"]
		w.thaw()
		rank, columns := lowA.shape[0], lowA.shape[1]
		for row := range lowB.shape[0] {
			for r := range rank {
				b := scale * lowB.data[row*rank+r]
				for j, v := range lowA.data[r*columns : (r+1)*columns] {
					w.data[row*columns+j] += b * v
				}
			}
		}
	}
	m.setAdapter(nil)
	return nil
}
