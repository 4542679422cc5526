package llm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/safetensors"
)

// The weights that a tied model has once, and any other one twice.
const (
	embedName = "model.embed_tokens.weight"
	headName  = "lm_head.weight"
)

var errUnknown = errors.New("is unknown to this layout, so what it does would be left out")

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
}

// Inspect checks a checkpoint as [Open] does, without reading its weights: the
// configuration, the way of storage, and the names and shapes of all tensors.
func Inspect(dir string) (Inspection, error) {
	cfg, err := readConfig(dir)
	if err != nil {
		return Inspection{}, err
	}
	if err := checkStorage(dir); err != nil {
		return Inspection{}, err
	}
	files, err := WeightFiles(dir)
	if err != nil {
		return Inspection{}, err
	}
	m, seen := newModel(cfg), map[string]bool{}
	out := Inspection{Config: cfg}
	for _, path := range files {
		if err := inspectFile(path, m, seen, &out); err != nil {
			return out, err
		}
	}
	for _, p := range m.params {
		if !seen[p.name] {
			return out, &CheckpointError{File: dir, Tensor: p.name, Err: errMissing}
		}
	}
	if cfg.TieWordEmbeddings && seen[headName] {
		out.Untied, err = differ(files)
	}
	return out, err
}

// inspectFile checks the names, shapes and lengths of the tensors of a file.
func inspectFile(path string, m *Model, seen map[string]bool, out *Inspection) (err error) {
	f, err := openTensors(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		p, ok := m.byName[t.Name]
		want := []int{m.cfg.VocabSize, m.cfg.HiddenSize}
		switch {
		case ok:
			want = p.shape
		case t.Name == headName:
		case harmless(t.Name):
			if last := t.Name[strings.LastIndexByte(t.Name, '.')+1:]; !slices.Contains(out.Ignored, last) {
				out.Ignored = append(out.Ignored, last)
			}
			continue
		default:
			return &CheckpointError{File: path, Tensor: t.Name, Err: errUnknown}
		}
		seen[t.Name] = true
		if !sameShape(t.Shape, want) {
			return &CheckpointError{File: path, Tensor: t.Name, Err: fmt.Errorf("has shape %v, config.json wants %v", t.Shape, want)}
		}
		if _, err := f.Values(t); err != nil {
			return &CheckpointError{File: path, Tensor: t.Name, Err: err}
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
		for name, values := range map[string]**safetensors.Values{embedName: &embed, headName: &head} {
			if t, ok := f.Find(name); ok {
				if *values, err = f.Values(t); err != nil {
					return false, &CheckpointError{File: path, Tensor: name, Err: err}
				}
				size = t.Size()
			}
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
