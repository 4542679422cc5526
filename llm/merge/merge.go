package merge

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// Options say what is written.
type Options struct {
	// From is the folder of the checkpoint.
	From string
	// Adapter is the folder of the adapter; empty: the weights are only
	// written anew.
	Adapter string
	// To is a folder that exists.
	To string
	// DType is "float32", "float16" or "bfloat16". Default: each tensor keeps
	// its own.
	DType string
	// ShardBytes is the most that one file may hold, unless a single tensor is
	// larger. Default 5 GB, as other tools have it.
	ShardBytes int64
	// OnBytes is told how many bytes were read since it was told last.
	OnBytes func(n int64)
}

const defaultShard = 5_000_000_000

// Bytes is how many bytes of weights a checkpoint has.
func Bytes(dir string) (int64, error) {
	s, err := open(dir)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for _, t := range s.tensors {
		n += t.Bytes
	}
	return n, s.close()
}

// Written is what a caller has to know of weights that were written.
type Written struct {
	// Untied says that the head is no longer the embedding, which config.json has to say.
	Untied bool
	// Rounded is the type that weights with the adapter were rounded to, such as
	// "bfloat16"; empty: they are in float32, as they were computed.
	Rounded string
}

// Write writes model.safetensors, or several such files and their index. What
// else belongs to the checkpoint, such as config.json, is the caller's to copy.
func Write(ctx context.Context, o Options) (out Written, err error) {
	from, err := open(o.From)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, from.close()) }()
	if o.ShardBytes <= 0 {
		o.ShardBytes = defaultShard
	}
	if o.OnBytes == nil {
		o.OnBytes = func(int64) {}
	}
	m := &merger{options: o, from: from}
	if o.DType != "" {
		var ok bool
		if m.dtype, ok = safetensors.DType(o.DType); !ok {
			return out, fmt.Errorf("type %q is none of float32, float16, bfloat16", o.DType)
		}
	}
	if o.Adapter != "" {
		if m.adapter, err = llm.OpenAdapter(o.Adapter); err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, m.adapter.Close()) }()
		if err := m.match(); err != nil {
			return out, err
		}
	}
	err = m.write(ctx)
	return Written{Untied: m.untied, Rounded: m.rounded}, err
}

// merger is one call of Write.
type merger struct {
	options Options
	from    *source
	dtype   string // empty: each tensor's own
	adapter *llm.Adapter
	adapted map[string]bool // modules of the adapter
	// replaced are the weights that the adapter has others for.
	replaced map[string]bool
	untied   bool
	rounded  string // see Written
}

// match finds the weights that the adapter is on.
func (m *merger) match() error {
	modules, err := m.adapter.Modules()
	if err != nil {
		return err
	}
	m.adapted, m.replaced = map[string]bool{}, map[string]bool{}
	var missing []string
	for _, module := range modules {
		m.adapted[module] = true
		if _, ok := m.from.find(module + weight); !ok {
			missing = append(missing, module)
		}
	}
	missing = append(missing, m.matchReplaced()...)
	if len(modules) == 0 {
		return fmt.Errorf("the adapter in %s is on no module", m.options.Adapter)
	}
	if len(missing) > 0 {
		return fmt.Errorf("the adapter in %s does not belong to the model in %s, which has no %s", m.options.Adapter, m.options.From, strings.Join(missing, ", "))
	}
	return nil
}

const weight = ".weight"

// write writes all shards, and their index where there are several.
func (m *merger) write(ctx context.Context) error {
	shards := m.shards()
	ix := index{WeightMap: map[string]string{}}
	for i, tensors := range shards {
		name := "model.safetensors"
		if len(shards) > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		}
		for _, t := range tensors {
			ix.WeightMap[t.Name] = name
			ix.Metadata.TotalSize += t.Bytes
		}
		if err := m.writeShard(ctx, filepath.Join(m.options.To, name), tensors); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if len(shards) == 1 {
		return nil
	}
	return ix.write(m.options.To)
}

// shards parts the tensors, as they are written, into files.
func (m *merger) shards() [][]safetensors.Tensor {
	var out [][]safetensors.Tensor
	size := int64(0)
	for _, t := range m.from.tensors {
		written := t.Tensor
		if m.dtype != "" && written.IsFloat() {
			written = written.As(m.dtype)
		}
		if len(out) == 0 || size > 0 && size+written.Bytes > m.options.ShardBytes {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], written)
		size += written.Bytes
	}
	return out
}

func (m *merger) writeShard(ctx context.Context, path string, tensors []safetensors.Tensor) error {
	w, err := safetensors.Create(path, tensors)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if err := m.writeTensor(ctx, w, t); err != nil {
			return errors.Join(fmt.Errorf("tensor %s: %w", t.Name, err), w.Close())
		}
	}
	return w.Close()
}

// writeTensor writes one tensor: as it is, or value by value.
func (m *merger) writeTensor(ctx context.Context, w *safetensors.Writer, written safetensors.Tensor) error {
	t, _ := m.from.find(written.Name)
	name := llm.PartName(t.Name)
	module, isWeight := strings.CutSuffix(name, weight)
	adapted := isWeight && m.adapted[module]
	if m.replaced[name] {
		return m.replace(w, t)
	}
	if !adapted && written.DType == t.DType {
		r, err := t.file.Raw(t.Tensor)
		if err != nil {
			return err
		}
		return w.Copy(&counted{ctx: ctx, r: r, on: m.options.OnBytes})
	}
	values, err := t.file.Values(t.Tensor)
	if err != nil {
		return err
	}
	rows, columns := 1, int(t.Size())
	if len(t.Shape) == 2 {
		rows, columns = t.Shape[0], t.Shape[1]
	}
	add := func([]float32, int) {}
	if adapted {
		if written.DType != safetensors.F32 {
			m.rounded = safetensors.TypeName(written.DType)
		}
		to, err := m.adapter.Adapted(module, rows, columns)
		if err != nil {
			return err
		}
		add = to.Add
	}
	const most = 1 << 20 // values at a time
	at := max(1, most/max(columns, 1))
	part := make([]float32, min(at, rows)*columns)
	for row := 0; row < rows; row += at {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		part = part[:min(at, rows-row)*columns]
		if err := values.Read(part); err != nil {
			return err
		}
		add(part, row)
		if err := w.Write(part); err != nil {
			return err
		}
		m.options.OnBytes(int64(len(part)) * t.Bytes / max(t.Size(), 1))
	}
	return nil
}
