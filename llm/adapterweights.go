package llm

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/peft"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// Adapter is an adapter in a folder, without its model.
type Adapter struct {
	// Base is the model that it belongs to, as adapter_config.json names it.
	Base string

	described peft.Config
	on        *peft.Modules
	path      string
	file      *safetensors.File
	// names are the names in the file, by those that PartName has for them.
	names map[string]string
}

// IsAdapter reports whether a folder holds an adapter and no whole model.
func IsAdapter(dir string) bool {
	return exists(filepath.Join(dir, configFile)) && !exists(filepath.Join(dir, "config.json"))
}

// OpenAdapter opens the adapter in a folder. Options of PEFT that the engine
// does not have are an error that names them.
func OpenAdapter(dir string) (*Adapter, error) {
	path := filepath.Join(dir, configFile)
	c, err := readAdapterConfig(path)
	if err != nil {
		return nil, err
	}
	if c.Rank < 1 {
		return nil, fmt.Errorf("load adapter: %s: r = %d is less than 1", path, c.Rank)
	}
	a := &Adapter{Base: c.Base, described: c, path: filepath.Join(dir, adapterFile)}
	if a.on, err = c.Modules(nil); err != nil {
		return nil, fmt.Errorf("load adapter: %s: %w", path, err)
	}
	if a.file, err = openTensors(a.path); err != nil {
		return nil, err
	}
	a.names = map[string]string{}
	for _, t := range a.file.Tensors() {
		a.names[fromFile(t.Name)] = t.Name
	}
	return a, nil
}

// find finds a weight of the adapter by its name without PEFT's prefix, as PartName has it.
func (a *Adapter) find(name string) (safetensors.Tensor, bool) {
	return a.file.Find(a.names[peftPrefix+name])
}

// pathOf is the path of a module in the model that the adapter was trained on.
func (a *Adapter) pathOf(module string) string {
	return strings.TrimSuffix(strings.TrimPrefix(a.names[peftPrefix+module+loraA], peftPrefix), loraA)
}

// Close closes the adapter's file.
func (a *Adapter) Close() error { return a.file.Close() }

// Modules lists the modules that the adapter is on, such as
// "model.layers.0.self_attn.q_proj", by their names as [PartName] has them. A tensor that is no part of one, and takes the place
// of no weight of the model, is an error.
func (a *Adapter) Modules() ([]string, error) {
	var out []string
	for _, t := range a.file.Tensors() {
		name, ours := strings.CutPrefix(t.Name, peftPrefix)
		if module, ok := strings.CutSuffix(name, loraA); ok && ours {
			out = append(out, PartName(module))
			continue
		}
		module, partner := strings.CutSuffix(name, loraB)
		if m, ok := strings.CutSuffix(name, loraMagnitude); ok && a.described.DoRA {
			module, partner = m, true
		}
		switch {
		case !ours, !partner && a.replaced(name) == "":
			return nil, &CheckpointError{File: a.path, Tensor: t.Name, Err: errUnsupported}
		case !partner:
		default:
			if _, ok := a.find(PartName(module) + loraA); !ok {
				return nil, &CheckpointError{File: a.path, Tensor: peftPrefix + module + loraA, Err: errMissing}
			}
		}
	}
	return out, nil
}

// replaced is the weight of the model that a tensor of the file takes the place of, by
// its name without PEFT's prefix; empty: none.
func (a *Adapter) replaced(name string) string {
	plain := strings.Replace(name, ".base_layer"+biasSuffix, biasSuffix, 1)
	bias, isBias := strings.CutSuffix(plain, biasSuffix)
	if isBias && a.described.Bias != noBias || a.on.Saves(strings.TrimSuffix(bias, weightSuffix)) {
		return plain
	}
	return ""
}

// Replaces lists the weights of the model that the adapter has others for, by their
// names as [PartName] has them.
func (a *Adapter) Replaces() []string {
	var out []string
	for _, t := range a.file.Tensors() {
		if name := a.replaced(strings.TrimPrefix(t.Name, peftPrefix)); name != "" {
			out = append(out, PartName(name))
		}
	}
	return out
}

// Replacement reads the weight that takes the place of one of the model with this
// shape.
func (a *Adapter) Replacement(name string, shape []int) ([]float32, error) {
	if module, isBias := strings.CutSuffix(name, biasSuffix); isBias {
		adapted := module + ".base_layer" + biasSuffix
		if _, ok := a.find(adapted); ok {
			name = adapted
		}
	}
	return a.tensor(name, shape)
}

// Adapted is what an adapter has for the weight of a module, of the shape [rows,
// columns]: the weight becomes W + Scale·B·A, and with DoRA each row of that is brought
// to the length that Magnitude says.
type Adapted struct {
	Rank      int
	Scale     float64
	A, B      []float32 // [Rank, columns] and [rows, Rank]
	Magnitude []float32 // [rows], or nothing
}

// Adapted reads what the adapter has for a module.
func (a *Adapter) Adapted(module string, rows, columns int) (Adapted, error) {
	path := a.pathOf(module)
	to := Adapted{Rank: a.on.Rank(path), Scale: a.on.Scale(path)}
	if to.Rank < 1 {
		return to, &CheckpointError{File: a.path, Tensor: peftPrefix + module + loraA, Err: fmt.Errorf("its rank by rank_pattern is %d, which is less than 1", to.Rank)}
	}
	var errs [3]error
	to.A, errs[0] = a.tensor(module+loraA, []int{to.Rank, columns})
	to.B, errs[1] = a.tensor(module+loraB, []int{rows, to.Rank})
	if a.described.DoRA {
		to.Magnitude, errs[2] = a.tensor(module+loraMagnitude, []int{rows})
	}
	return to, errors.Join(errs[:]...)
}

// Add adds the adapter to rows of the weight, from one of them on.
func (to Adapted) Add(part []float32, from int) {
	columns := len(to.A) / to.Rank
	delta := make([]float32, columns)
	for i := range len(part) / columns {
		clear(delta)
		for r := range to.Rank {
			b := to.B[(from+i)*to.Rank+r]
			for j, a := range to.A[r*columns : (r+1)*columns] {
				delta[j] += b * a
			}
		}
		row := part[i*columns : (i+1)*columns]
		for j, d := range delta {
			row[j] += float32(to.Scale) * d
		}
		if to.Magnitude != nil {
			factor := to.Magnitude[from+i] / length(row)
			for j := range row {
				row[j] *= factor
			}
		}
	}
}

func (a *Adapter) tensor(name string, want []int) ([]float32, error) {
	t, ok := a.find(name)
	var out []float32
	var err error
	switch {
	case !ok:
		err = errMissing
	case !sameShape(t.Shape, want):
		err = fmt.Errorf("has shape %v, the model wants %v", t.Shape, want)
	default:
		var v values
		if _, v, err = source(a.file, t); err == nil {
			out = make([]float32, t.Size())
			err = readTensor(want, v, out)
		}
	}
	if err != nil {
		return nil, &CheckpointError{File: a.path, Tensor: peftPrefix + name, Err: err}
	}
	return out, nil
}
