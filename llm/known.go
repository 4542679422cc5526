package llm

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/nf4"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// The weights that a tied model has once, and any other one twice.
const (
	embedName = "model.embed_tokens.weight"
	headName  = "lm_head.weight"
)

var errUnknown = errors.New("is unknown to this layout, so what it does would be left out")

var errForeign = errors.New("does not belong to this model")

// harmless reports whether a tensor that the layout does not have may be left
// out: tables that older versions of transformers stored and that follow from
// config.json.
func harmless(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	return slices.Contains([]string{"inv_freq", "original_inv_freq", "cos_cached", "sin_cached", "masked_bias", "position_ids"}, last) ||
		strings.HasSuffix(name, ".attn.bias")
}

// Inspection is what the headers of a checkpoint say.
type Inspection struct {
	Config Config
	// Untied is set if a tied model has a head of its own that differs from its
	// embedding.
	Untied bool
	// Ignored are the tensors that are known to be harmless, by their last part.
	Ignored []string
	// Quantised are the weights that are stored in four bits; Claimed, whether config.json
	// says that there are some.
	Quantised int
	Claimed   bool
	// Vision is how many tensors belong to the vision part of the checkpoint, which is
	// left out; Sees, whether it is one of a model that sees.
	Vision int
	Sees   bool
}

// maxFaults is how many tensors an error names.
const maxFaults = 5

// tensorFaults are the tensors of a checkpoint that cannot be used.
type tensorFaults struct {
	named []error
	more  int
}

func (f *tensorFaults) add(file, tensor string, err error) {
	if len(f.named) == maxFaults {
		f.more++
		return
	}
	f.named = append(f.named, &CheckpointError{File: file, Tensor: tensor, Err: err})
}

// err is nil if there are none.
func (f *tensorFaults) err(dir string) error {
	if f.more == 0 {
		return errors.Join(f.named...)
	}
	return errors.Join(append(f.named, &CheckpointError{File: dir, Err: fmt.Errorf("%d tensors more cannot be used", f.more)})...)
}

// Inspect checks a checkpoint as [Open] does, without reading its weights: the
// configuration, the way of storage, and the names, shapes and places of all
// tensors. The error joins the faults of all of them, of which it names the first
// five.
func Inspect(dir string) (Inspection, error) {
	cfg, err := readConfig(dir)
	if err != nil {
		return Inspection{}, err
	}
	claimed, err := checkStorage(dir)
	if err != nil {
		return Inspection{}, err
	}
	files, err := WeightFiles(dir)
	if err != nil {
		return Inspection{}, err
	}
	m, seen := newModel(cfg), map[string]bool{}
	out := Inspection{Config: cfg, Sees: cfg.sees, Claimed: claimed}
	var faults tensorFaults
	var errs []error
	for _, path := range files {
		errs = append(errs, inspectFile(path, m, seen, &out, &faults))
	}
	if err := errors.Join(errs...); err != nil {
		return out, errors.Join(err, faults.err(dir)) // what is missing may lie in the file that cannot be read
	}
	for _, p := range m.params {
		if !seen[p.name] {
			faults.add(dir, cfg.wholeName(p.name), errMissing)
		}
	}
	if err := faults.err(dir); err != nil {
		return out, err
	}
	if cfg.TieWordEmbeddings && seen[headName] {
		out.Untied, err = differ(files)
	}
	return out, err
}

// InspectAdapter checks an adapter as [Model.LoadAdapter] does on a model with this
// configuration, without reading its weights.
func InspectAdapter(dir string, of Config) (err error) {
	path := filepath.Join(dir, configFile)
	c, err := readAdapterConfig(path)
	if err != nil {
		return err
	}
	a, err := newModel(of).newAdapter(c)
	if err != nil {
		return fmt.Errorf("load adapter: %s: %w", path, err)
	}
	want := map[string][]int{}
	for _, p := range a.params {
		want[fromFile(a.fileName(p))] = p.shape
	}
	file := filepath.Join(dir, adapterFile)
	f, err := openTensors(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var faults tensorFaults
	for _, t := range f.Tensors() {
		shape, ok := want[fromFile(t.Name)]
		delete(want, fromFile(t.Name))
		if of.looks(strings.TrimPrefix(t.Name, peftPrefix)) {
			continue
		}
		if !ok {
			faults.add(file, t.Name, errForeign)
		} else if !sameShape(t.Shape, shape) {
			faults.add(file, t.Name, fmt.Errorf("has shape %v, the model wants %v", t.Shape, shape))
		} else if _, err := f.Values(t); err != nil {
			faults.add(file, t.Name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		faults.add(file, name, errMissing)
	}
	return faults.err(dir)
}

// inspectFile checks the names, shapes and lengths of the tensors of a file.
func inspectFile(path string, m *Model, seen map[string]bool, out *Inspection, faults *tensorFaults) (err error) {
	f, err := openTensors(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		if nf4.Belongs(t.Name) {
			continue
		}
		name := PartName(t.Name)
		p, ok := m.byName[name]
		want := []int{m.cfg.VocabSize, m.cfg.HiddenSize}
		switch {
		case ok:
			want = p.shape
		case m.cfg.looks(t.Name):
			out.Vision++
			continue
		case name == headName:
		case harmless(t.Name):
			if last := t.Name[strings.LastIndexByte(t.Name, '.')+1:]; !slices.Contains(out.Ignored, last) {
				out.Ignored = append(out.Ignored, last)
			}
			continue
		default:
			faults.add(path, t.Name, errUnknown)
			continue
		}
		seen[name] = true
		shape, values, err := source(f, t)
		if bad, ok := values.(unreadable); ok {
			err = bad.error
		}
		switch {
		case err == nil && !sameShape(shape, want):
			faults.add(path, t.Name, fmt.Errorf("has shape %v, config.json wants %v", shape, want))
		case err != nil:
			faults.add(path, t.Name, err)
		case nf4.Stored(f, t.Name):
			out.Quantised++
		}
	}
	return nil
}

// differ reports whether the head of a checkpoint differs from its embedding.
func differ(files []string) (_ bool, err error) {
	var embed, head *safetensors.Values
	var size int64
	for _, path := range files {
		f, err := openTensors(path)
		if err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		for _, t := range f.Tensors() {
			values, ok := map[string]**safetensors.Values{embedName: &embed, headName: &head}[PartName(t.Name)]
			if !ok {
				continue
			}
			if *values, err = f.Values(t); err != nil {
				return false, &CheckpointError{File: path, Tensor: t.Name, Err: err}
			}
			size = t.Size()
		}
	}
	a, b := make([]float32, 1<<14), make([]float32, 1<<14)
	for size > 0 {
		n := min(int64(len(a)), size)
		if err := errors.Join(embed.Read(a[:n]), head.Read(b[:n])); err != nil {
			return false, err
		}
		if !slices.Equal(a[:n], b[:n]) {
			return true, nil
		}
		size -= n
	}
	return false, nil
}
