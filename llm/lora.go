package llm

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Projections are the modules that an adapter can be attached to.
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
	Seed   int64
}

type adapter struct {
	cfg    LoRAConfig
	params []*param
}

func (a *adapter) scale() float64 {
	if a.cfg.RSLoRA {
		return a.cfg.Alpha / math.Sqrt(float64(a.cfg.Rank))
	}
	return a.cfg.Alpha / float64(a.cfg.Rank)
}

// newAdapter makes an adapter whose weights are not set yet.
func (m *Model) newAdapter(cfg LoRAConfig) (*adapter, error) {
	if cfg.Rank < 1 {
		return nil, fmt.Errorf("attach adapter: rank %d is less than 1", cfg.Rank)
	}
	if len(cfg.TargetModules) == 0 || slices.Contains(cfg.TargetModules, "all-linear") {
		cfg.TargetModules = Projections()
	}
	for _, t := range cfg.TargetModules {
		if !slices.Contains(Projections(), t) {
			return nil, fmt.Errorf("attach adapter: module %q is none of %s", t, strings.Join(Projections(), ", "))
		}
	}
	a := &adapter{cfg: cfg}
	for _, p := range m.params {
		base, ok := strings.CutSuffix(p.name, ".weight")
		if !ok || !slices.Contains(cfg.TargetModules, base[strings.LastIndexByte(base, '.')+1:]) {
			continue
		}
		a.params = append(a.params,
			&param{name: base + ".lora_A.weight", shape: []int{cfg.Rank, p.shape[1]}},
			&param{name: base + ".lora_B.weight", shape: []int{p.shape[0], cfg.Rank}})
	}
	return a, nil
}

// AttachLoRA puts a new adapter on the model: A uniformly distributed within
// 1/√in, B zero, as PEFT does, so that it changes nothing at first. Train
// then changes the adapter alone.
func (m *Model) AttachLoRA(cfg LoRAConfig) error {
	a, err := m.newAdapter(cfg)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(uint64(cfg.Seed), 2))
	for _, p := range a.params {
		p.data = make([]float32, p.size())
		if strings.HasSuffix(p.name, ".lora_A.weight") {
			bound := 1 / math.Sqrt(float64(p.shape[1]))
			for i := range p.data {
				p.data[i] = float32((2*rng.Float64() - 1) * bound)
			}
		}
	}
	m.lora = a
	return nil
}

// adapterConfig is PEFT's adapter_config.json.
type adapterConfig struct {
	PEFTType      string   `json:"peft_type"`
	TaskType      string   `json:"task_type"`
	Base          string   `json:"base_model_name_or_path"`
	Rank          int      `json:"r"`
	Alpha         float64  `json:"lora_alpha"`
	Dropout       float64  `json:"lora_dropout"`
	TargetModules []string `json:"target_modules"`
	Bias          string   `json:"bias"`
	RSLoRA        bool     `json:"use_rslora"`
	InferenceMode bool     `json:"inference_mode"`
	FanInFanOut   bool     `json:"fan_in_fan_out"`
}

const peftPrefix = "base_model.model."

// SaveAdapter writes adapter_config.json and adapter_model.safetensors as
// PEFT does. base names the model that the adapter belongs to.
func (m *Model) SaveAdapter(dir, base string) error {
	if m.lora == nil {
		return fmt.Errorf("save adapter: the model has none")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	c := m.lora.cfg
	body, err := json.MarshalIndent(adapterConfig{
		PEFTType: "LORA", TaskType: "CAUSAL_LM", Base: base, Rank: c.Rank, Alpha: c.Alpha,
		TargetModules: c.TargetModules, Bias: "none", RSLoRA: c.RSLoRA, InferenceMode: true,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "adapter_config.json"), append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	renamed := make([]*param, len(m.lora.params))
	for i, p := range m.lora.params {
		renamed[i] = &param{name: peftPrefix + p.name, shape: p.shape, data: p.data}
	}
	return writeTensors(filepath.Join(dir, "adapter_model.safetensors"), "float32", renamed)
}

// LoadAdapter puts an adapter that PEFT or SaveAdapter wrote on the model.
func (m *Model) LoadAdapter(dir string) error {
	path := filepath.Join(dir, "adapter_config.json")
	body, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("load adapter: %w", err)
	}
	var c adapterConfig
	if err := json.Unmarshal(body, &c); err != nil {
		return fmt.Errorf("load adapter: %s: %w", path, err)
	}
	if c.PEFTType != "LORA" {
		return &UnknownArchitectureError{Have: "peft_type " + c.PEFTType, Want: "LORA"}
	}
	a, err := m.newAdapter(LoRAConfig{Rank: c.Rank, Alpha: c.Alpha, TargetModules: c.TargetModules, RSLoRA: c.RSLoRA})
	if err != nil {
		return err
	}
	byName := map[string]*param{}
	for _, p := range a.params {
		byName[peftPrefix+p.name] = p
	}
	file := filepath.Join(dir, "adapter_model.safetensors")
	err = readTensors(file, func(name string, shape []int) ([]float32, error) {
		p, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf("does not belong to this model")
		}
		if !sameShape(shape, p.shape) {
			return nil, fmt.Errorf("has shape %v, the model wants %v", shape, p.shape)
		}
		p.data = make([]float32, p.size())
		return p.data, nil
	})
	if err != nil {
		return err
	}
	for _, p := range a.params {
		if p.data == nil {
			return &CheckpointError{File: file, Tensor: p.name, Err: errMissing}
		}
	}
	m.lora = a
	return nil
}
