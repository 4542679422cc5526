package llm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// adapterConfig is PEFT's adapter_config.json.
type adapterConfig struct {
	PEFTType      string  `json:"peft_type"`
	TaskType      string  `json:"task_type"`
	Base          string  `json:"base_model_name_or_path"`
	Rank          int     `json:"r"`
	Alpha         float64 `json:"lora_alpha"`
	Dropout       float64 `json:"lora_dropout"`
	TargetModules targets `json:"target_modules"`
	Bias          string  `json:"bias"`
	RSLoRA        bool    `json:"use_rslora"`
	InferenceMode bool    `json:"inference_mode"`
	FanInFanOut   bool    `json:"fan_in_fan_out"`
}

var errUnsupported = errors.New("is not supported by the built-in engine")

// unsupported are options of PEFT that change what an adapter computes and
// that the engine does not have.
func unsupported() []string {
	return []string{
		"use_dora", "modules_to_save", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern",
		"exclude_modules", "fan_in_fan_out", "lora_bias", "trainable_token_indices", "layer_replication", "target_parameters",
		"use_qalora", "alora_invocation_tokens",
	}
}

// targets is PEFT's target_modules: a list of names, or one string that is
// "all-linear" or a regular expression for whole module paths.
type targets struct {
	names   []string
	pattern string
}

// UnmarshalJSON reads either form.
func (t *targets) UnmarshalJSON(raw []byte) error {
	if json.Unmarshal(raw, &t.names) == nil {
		return nil
	}
	return json.Unmarshal(raw, &t.pattern)
}

// MarshalJSON writes the form that was read.
func (t targets) MarshalJSON() ([]byte, error) {
	if t.pattern != "" {
		return json.Marshal(t.pattern)
	}
	return json.Marshal(t.names)
}

// matcher reports which module paths an adapter is on. Names match as PEFT
// matches them: the whole path, or its end behind a dot.
func (t targets) matcher(of Config) (func(module string) bool, error) {
	switch {
	case t.pattern == allLinear, t.pattern == "" && len(t.names) == 0, slices.Contains(t.names, allLinear):
		return of.isProjection, nil
	case t.pattern != "":
		re, err := regexp.Compile(`^(?:` + t.pattern + `)$`)
		if err != nil {
			return nil, fmt.Errorf("target_modules: %w", err)
		}
		return re.MatchString, nil
	}
	return func(module string) bool {
		return slices.ContainsFunc(t.names, func(name string) bool {
			return module == name || strings.HasSuffix(module, "."+name)
		})
	}, nil
}

const (
	allLinear   = "all-linear"
	peftPrefix  = "base_model.model."
	adapterFile = "adapter_model.safetensors"
	configFile  = "adapter_config.json"
)

func (c Config) isProjection(module string) bool {
	return slices.Contains(c.projections(), module[strings.LastIndexByte(module, '.')+1:])
}

// SaveAdapter writes adapter_config.json and adapter_model.safetensors as
// PEFT does. base names the model that the adapter belongs to.
func (m *Model) SaveAdapter(dir, base string) error {
	if m.lora == nil {
		return errors.New("save adapter: the model has none")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	c := m.lora.cfg
	body, err := json.MarshalIndent(adapterConfig{
		PEFTType: "LORA", TaskType: "CAUSAL_LM", Base: base, Rank: c.Rank, Alpha: c.Alpha, Dropout: c.Dropout,
		TargetModules: m.lora.targets, Bias: "none", RSLoRA: c.RSLoRA, InferenceMode: true,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), append(body, '\n'), 0o600); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	renamed := make([]*param, len(m.lora.params))
	for i, p := range m.lora.params {
		renamed[i] = &param{name: peftPrefix + p.name, shape: p.shape, data: p.data}
	}
	return writeTensors(filepath.Join(dir, adapterFile), "float32", renamed)
}

// readAdapterConfig refuses what the engine would compute otherwise than
// PEFT.
func readAdapterConfig(path string) (adapterConfig, error) {
	c := adapterConfig{Rank: 8, Alpha: 8, Bias: "none"} // PEFT's defaults
	body, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("load adapter: %w", err)
	}
	var all map[string]any
	if err := errors.Join(json.Unmarshal(body, &c), json.Unmarshal(body, &all)); err != nil {
		return c, fmt.Errorf("load adapter: %s: %w", path, err)
	}
	if c.PEFTType != "LORA" {
		return c, &UnknownArchitectureError{Have: fmt.Sprintf("peft_type %q", c.PEFTType), Want: "LORA"}
	}
	for _, key := range unsupported() {
		if set(all[key]) {
			return c, fmt.Errorf("load adapter: %s: %s = %v %w", path, key, all[key], errUnsupported)
		}
	}
	if c.Bias != "none" {
		return c, fmt.Errorf("load adapter: %s: bias = %q %w", path, c.Bias, errUnsupported)
	}
	return c, nil
}

// set reports whether an option is anything but absent, false or empty.
func set(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// LoadAdapter puts an adapter that PEFT or SaveAdapter wrote on the model.
// Options of PEFT that the engine does not have are an error that names
// them; a damaged file is a [*CheckpointError].
func (m *Model) LoadAdapter(dir string) error {
	path := filepath.Join(dir, configFile)
	c, err := readAdapterConfig(path)
	if err != nil {
		return err
	}
	a, err := m.newAdapter(LoRAConfig{Rank: c.Rank, Alpha: c.Alpha, RSLoRA: c.RSLoRA, Dropout: c.Dropout}, c.TargetModules)
	if err != nil {
		return fmt.Errorf("load adapter: %s: %w", path, err)
	}
	byName := map[string]*param{}
	for _, p := range a.params {
		byName[peftPrefix+p.name] = p
	}
	file := filepath.Join(dir, adapterFile)
	err = readTensors(file, func(name string, shape []int) ([]float32, error) {
		p, ok := byName[name]
		if !ok {
			return nil, errForeign
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
	m.setAdapter(a)
	return nil
}
