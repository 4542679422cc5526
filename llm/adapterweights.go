package llm

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm/safetensors"
)

// Adapter is an adapter in a folder, without its model.
type Adapter struct {
	// Base is the model that it belongs to, as adapter_config.json names it.
	Base string
	// Rank and Scale are those of all of its modules.
	Rank  int
	Scale float64

	path string
	file *safetensors.File
}

// IsAdapter reports whether a folder holds an adapter and no whole model.
func IsAdapter(dir string) bool {
	return exists(filepath.Join(dir, configFile)) && !exists(filepath.Join(dir, "config.json"))
}

// OpenAdapter opens the adapter in a folder. Options of PEFT that the engine
// does not have are an error that names them.
func OpenAdapter(dir string) (*Adapter, error) {
	c, err := readAdapterConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	if c.Rank < 1 {
		return nil, fmt.Errorf("load adapter: %s: r = %d is less than 1", filepath.Join(dir, configFile), c.Rank)
	}
	a := &Adapter{Base: c.Base, Rank: c.Rank, path: filepath.Join(dir, adapterFile)}
	a.Scale = (&adapter{cfg: LoRAConfig{Rank: c.Rank, Alpha: c.Alpha, RSLoRA: c.RSLoRA}}).scale()
	a.file, err = openTensors(a.path)
	return a, err
}

// Close closes the adapter's file.
func (a *Adapter) Close() error { return a.file.Close() }

// Modules lists the modules that the adapter is on, such as
// "model.layers.0.self_attn.q_proj". A tensor that is no part of one is an
// error.
func (a *Adapter) Modules() ([]string, error) {
	var out []string
	for _, t := range a.file.Tensors() {
		name, ours := strings.CutPrefix(t.Name, peftPrefix)
		if module, ok := strings.CutSuffix(name, loraA); ok && ours {
			out = append(out, module)
		} else if module, ok := strings.CutSuffix(name, loraB); !ok || !ours {
			return nil, &CheckpointError{File: a.path, Tensor: t.Name, Err: errUnsupported}
		} else if _, ok := a.file.Find(peftPrefix + module + loraA); !ok {
			return nil, &CheckpointError{File: a.path, Tensor: peftPrefix + module + loraA, Err: errMissing}
		}
	}
	return out, nil
}

// Matrices reads what the adapter adds to the weight of a module, of shape
// [rows, columns]: Scale·B·A, with A of [Rank, columns] and B of [rows, Rank].
func (a *Adapter) Matrices(module string, rows, columns int) (lowA, lowB []float32, err error) {
	lowA, errA := a.matrix(module+loraA, a.Rank, columns)
	lowB, errB := a.matrix(module+loraB, rows, a.Rank)
	return lowA, lowB, errors.Join(errA, errB)
}

func (a *Adapter) matrix(name string, rows, columns int) ([]float32, error) {
	t, ok := a.file.Find(peftPrefix + name)
	var out []float32
	var err error
	switch want := []int{rows, columns}; {
	case !ok:
		err = errMissing
	case !sameShape(t.Shape, want):
		err = fmt.Errorf("has shape %v, the model wants %v", t.Shape, want)
	default:
		var v values
		if _, v, err = source(a.file, t); err == nil {
			out = make([]float32, rows*columns)
			err = readTensor(want, v, out)
		}
	}
	if err != nil {
		return nil, &CheckpointError{File: a.path, Tensor: peftPrefix + name, Err: err}
	}
	return out, nil
}
