package llm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/peft"
)

var errUnsupported = errors.New("is not supported by the built-in engine")

const (
	allLinear   = peft.AllLinear
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
	c := m.lora.described
	if m.cfg.sees {
		c = besideVision(c)
	}
	c.Type, c.TaskType, c.Base, c.InferenceMode, c.Dropout = "LORA", "CAUSAL_LM", base, true, m.lora.cfg.Dropout
	if err := c.Write(filepath.Join(dir, configFile)); err != nil {
		return fmt.Errorf("save adapter: %w", err)
	}
	less := m.cfg.family().lessOne
	renamed := make([]*param, len(m.lora.params))
	for i, p := range m.lora.params {
		renamed[i] = &param{name: m.lora.fileName(p), shape: p.shape, data: p.data}
		if less && isNorm(p.name) {
			renamed[i].data = plus(p.data, -1)
		}
	}
	return writeTensors(filepath.Join(dir, adapterFile), "float32", renamed)
}

// plus are values with something added to each.
func plus(values []float32, what float32) []float32 {
	out := slices.Clone(values)
	for i := range out {
		out[i] += what
	}
	return out
}

// fileName is how a file of PEFT names a weight of the adapter.
func (a *adapter) fileName(p *param) string {
	if module, isBias := strings.CutSuffix(p.name, biasSuffix); isBias && a.on[module] && a.described.Bias != noBias {
		return peftPrefix + a.of.wholeName(module) + ".base_layer.bias"
	}
	return peftPrefix + a.of.wholeName(p.name)
}

// fromFile is the name of a weight in a file of PEFT as [PartName] has it, with which
// files of several versions of transformers have the same names.
func fromFile(name string) string {
	rest, ours := strings.CutPrefix(name, peftPrefix)
	if !ours {
		return name
	}
	return peftPrefix + PartName(rest)
}

// readAdapterConfig refuses what the engine would compute otherwise than
// PEFT.
func readAdapterConfig(path string) (peft.Config, error) {
	c, err := peft.Read(path)
	if _, unsupported := errors.AsType[*peft.UnsupportedError](err); unsupported || err == nil && c.Type != "LORA" {
		if c.Type != "LORA" {
			return c, &UnknownArchitectureError{Have: fmt.Sprintf("peft_type %q", c.Type), Want: "LORA"}
		}
		return c, fmt.Errorf("load adapter: %s: %w", path, err)
	}
	switch {
	case err != nil && errors.Is(err, os.ErrNotExist):
		return c, fmt.Errorf("load adapter: %w", err)
	case err != nil:
		return c, fmt.Errorf("load adapter: %s: %w", path, err)
	}
	return c, nil
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
	a, err := m.newAdapter(c)
	if err != nil {
		return fmt.Errorf("load adapter: %s: %w", path, err)
	}
	byName := map[string]*param{}
	for _, p := range a.params {
		byName[fromFile(a.fileName(p))] = p
	}
	file := filepath.Join(dir, adapterFile)
	err = readTensors(file, func(name string, shape []int) ([]float32, error) {
		p, ok := byName[fromFile(name)]
		switch {
		case m.cfg.looks(strings.TrimPrefix(name, peftPrefix)):
			return nil, nil
		case !ok:
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
			return &CheckpointError{File: file, Tensor: a.fileName(p), Err: errMissing}
		}
		if m.cfg.family().lessOne && isNorm(p.name) {
			p.data = plus(p.data, 1)
		}
	}
	m.setAdapter(a)
	return nil
}
