package llm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/half"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/nf4"
	"github.com/tunebus/tunebus/llm/internal/weight"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// Open reads a checkpoint folder: config.json, and model.safetensors or the
// shards that model.safetensors.index.json names, in float32, float16, bfloat16, or
// nf4 of bitsandbytes. Matrices stay in memory in the type that they are stored in,
// until they are trained. Errors are [*UnknownArchitectureError], [*StorageError] and
// [*CheckpointError].
//
// A tied model whose file has a head of its own that differs from the embedding
// is read as an untied one, as transformers 5 does.
func Open(dir string) (*Model, error) { return open(dir, 0) }

// OpenQuantised is Open, but brings the projections that are stored as floats to 4 or 8
// bits: to nf4 with double quantisation, as bitsandbytes does, or to whole numbers of 8
// bits with a factor for each row. The embedding and the head stay as they are. Such a
// model is the frozen base of an adapter, and can generate. With 0 bits it is Open.
func OpenQuantised(dir string, bits int) (*Model, error) {
	if bits != 0 && bits != 4 && bits != 8 {
		return nil, fmt.Errorf("open checkpoint: weights of %d bits; want 4 or 8", bits)
	}
	return open(dir, bits)
}

// Bits is what the keys load_in_4bit and load_in_8bit ask [OpenQuantised] for.
func Bits(four, eight bool) int {
	switch {
	case four:
		return 4
	case eight:
		return 8
	}
	return 0
}

func open(dir string, bits int) (*Model, error) {
	body, err := readConfigFile(dir)
	if err != nil {
		return nil, err
	}
	cfg, err := parseConfig(filepath.Join(dir, "config.json"), body)
	if err != nil {
		return nil, err
	}
	if _, err := checkStorage(dir); err != nil {
		return nil, err
	}
	files, err := WeightFiles(dir)
	if err != nil {
		return nil, err
	}
	l := loader{model: newModel(cfg), bits: bits}
	for _, f := range files {
		if err := l.file(f); err != nil {
			return nil, err
		}
	}
	m := l.model
	m.file = body
	for _, p := range m.params {
		if p.missing() {
			return nil, &CheckpointError{File: dir, Tensor: cfg.wholeName(p.name), Err: errMissing}
		}
		if isNorm(p.name) && cfg.family().lessOne {
			for i := range p.data {
				p.data[i]++
			}
		}
	}
	if l.head != nil && !slices.Equal(l.head.values(), m.byName[embedName].values()) {
		m.cfg.TieWordEmbeddings = false // as transformers 5 reads such a file
		m.params, m.byName[headName] = append(m.params, l.head), l.head
	}
	return m, nil
}

// loader reads the weights of a model. Files are read, not mapped into memory: the
// panels in which matrices are kept are not the rows of a file, one copy of them serves
// training and generation, and a file that is cut or changed later does no harm.
type loader struct {
	model *Model
	bits  int    // to which projections are quantised; 0: they are not
	head  *param // of a tied model: it may have a head of its own all the same
	// what is used again from one tensor to the next
	raw    []byte
	row    []uint16
	buffer []float32
}

func (l *loader) file(path string) (err error) {
	f, err := openTensors(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		if nf4.Belongs(t.Name) {
			continue
		}
		if err := l.tensor(f, t); err != nil {
			return &CheckpointError{File: path, Tensor: t.Name, Err: err}
		}
	}
	return nil
}

// tensor reads a tensor, if the model has it.
func (l *loader) tensor(f *safetensors.File, t safetensors.Tensor) error {
	shape, from, err := source(f, t)
	if err != nil {
		return err
	}
	p, err := l.place(t.Name)
	if p == nil || err != nil {
		return err
	}
	if !sameShape(shape, p.shape) {
		return fmt.Errorf("has shape %v, config.json wants %v", shape, p.shape)
	}
	matrix := len(p.shape) == 2
	stored, four := from.(*nf4.Weight)
	sixteen := t.DType == safetensors.BF16 || t.DType == safetensors.F16
	switch {
	case four && matrix:
		if p.kept, err = stored.Packed(); err != nil {
			return err
		}
		return checkKept(p.kept)
	case matrix && l.bits != 0 && l.model.cfg.isProjection(strings.TrimSuffix(p.name, ".weight")):
		return l.quantise(p, from, t.DType)
	case matrix && sixteen:
		return l.sixteen(p, f, t)
	}
	p.data = make([]float32, p.size())
	return readTensor(shape, from, p.data)
}

// place is the weight that a tensor has the values of; nil if it is left out.
func (l *loader) place(name string) (*param, error) {
	p, ok := l.model.byName[PartName(name)]
	switch {
	case ok:
		return p, nil
	case l.model.cfg.looks(name):
		return nil, nil
	case PartName(name) == headName:
		l.head = &param{name: headName, shape: []int{l.model.cfg.VocabSize, l.model.cfg.HiddenSize}}
		return l.head, nil
	case harmless(name):
		return nil, nil
	}
	return nil, errUnknown
}

// sixteen keeps a matrix in sixteen bits.
func (l *loader) sixteen(p *param, f *safetensors.File, t safetensors.Tensor) error {
	if _, err := f.Values(t); err != nil { // its length
		return err
	}
	from, err := f.Raw(t)
	if err != nil {
		return err
	}
	out, in := p.shape[0], p.shape[1]
	exponent := uint16(0x7f80)
	if t.DType == safetensors.F16 {
		exponent = 0x7c00
	}
	s := weight.NewSixteen(out, in)
	rows := min(out, max(1, 1<<19/in)) // at once
	l.raw, l.row = grow(l.raw, 2*rows*in), grow(l.row, in)
	for o := range out {
		if o%rows == 0 {
			l.raw = l.raw[:2*min(rows, out-o)*in]
			if _, err := io.ReadFull(from, l.raw); err != nil {
				return safetensors.ErrTruncated
			}
		}
		for i := range in {
			b := binary.LittleEndian.Uint16(l.raw[2*(o%rows*in+i):])
			if b&exponent == exponent {
				v := half.FromBFloat16(b)
				if t.DType == safetensors.F16 {
					v = half.FromFloat16(b)
				}
				return notFinite(o*in+i, p.size(), v)
			}
			l.row[i] = b
		}
		s.SetRow(o, l.row)
	}
	if t.DType == safetensors.F16 {
		p.kept = s.Float16()
	} else {
		p.kept = s.BFloat16()
	}
	return nil
}

// quantise brings a matrix of floats to fewer bits.
func (l *loader) quantise(p *param, from values, dtype string) error {
	l.buffer = grow(l.buffer, p.size())
	if err := readTensor(p.shape, from, l.buffer); err != nil {
		return err
	}
	if l.bits == 8 {
		p.kept = weight.QuantiseBytes(l.buffer, p.shape[0], p.shape[1], weight.ToFloat32)
		return nil
	}
	rounding := map[string]weight.Rounding{safetensors.BF16: weight.ToBFloat16, safetensors.F16: weight.ToFloat16}[dtype]
	p.kept = weight.QuantiseNF4(l.buffer, p.shape[0], p.shape[1], rounding)
	return nil
}

// checkKept is checkFinite of a matrix that is kept in fewer bits.
func checkKept(p *kernel.Packed) error {
	return p.Unpacked(func(part []float32, output, input int) error {
		if checkFinite(part) == nil {
			return nil
		}
		for i, v := range part {
			o, k := output+i%kernel.PanelColumns, input+i/kernel.PanelColumns
			if o < p.Out && checkFinite(part[i:i+1]) != nil {
				return notFinite(o*p.In+k, p.Out*p.In, v)
			}
		}
		return nil
	})
}

// grow is a slice of n, old where that is large enough.
func grow[T any](old []T, n int) []T {
	if cap(old) >= n {
		return old[:n]
	}
	return make([]T, n)
}
