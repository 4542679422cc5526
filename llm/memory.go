package llm

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/internal/nf4"
	"github.com/tunebus/tunebus/llm/internal/optimizer"
	"github.com/tunebus/tunebus/llm/internal/weight"
	"github.com/tunebus/tunebus/llm/safetensors"
)

// Memory is how much memory something takes at most, in bytes.
type Memory struct {
	// Weights are all of them, as they are kept, and the adapter's.
	Weights int64
	// Gradients and Optimizer are of the weights that learn.
	Gradients, Optimizer int64
	// Activations are the buffers of a step, for the largest batch that there is.
	Activations int64
	// Other is the copy of the best weights, the places of the rows, and what is not
	// used any more and not collected yet.
	Other int64
}

// Sum is all of it.
func (m Memory) Sum() int64 {
	return m.Weights + m.Gradients + m.Optimizer + m.Activations + m.Other
}

const float32Bytes = 4

// Plan is a training of which nothing is in memory yet.
type Plan struct {
	// Dir is the folder of the checkpoint, Bits is as for [OpenQuantised].
	Dir  string
	Bits int
	// Full says that all weights are trained, in which case Adapter is merged into them.
	Full bool
	// LoRA is the new adapter, unless Adapter is the folder of one that is trained
	// further, with the dropout of LoRA.
	LoRA    LoRAConfig
	Adapter string

	Train                TrainConfig
	Training, Validation Examples
}

// Memory says how much memory the training will take. It reads headers, and no weights.
// The buffers of a step are counted by the code that makes them, for the batches that
// the training will read.
func (p Plan) Memory() (Memory, error) {
	cfg, err := readConfig(p.Dir)
	if err != nil {
		return Memory{}, err
	}
	m := newModel(cfg)
	stored, err := storedSizes(p.Dir, m, p.Bits)
	if err != nil {
		return Memory{}, err
	}
	if m.lora, err = p.adapter(m); err != nil {
		return Memory{}, err
	}
	var out Memory
	learns, learned := map[*param]bool{}, []optimizer.Weight{}
	for _, w := range m.trainable() {
		learns[w] = true
		learned = append(learned, optimizer.Weight{Shape: w.shape, Embeds: w.name == embedName})
	}
	for _, w := range m.all() {
		if len(w.shape) == 1 {
			w.data = make([]float32, w.size()) // that of a norm says that the network has one
		}
		if learns[w] {
			out.Weights += float32Bytes * int64(w.size())
		} else {
			out.Weights += stored.of[w.name]
		}
	}
	out.Weights += stored.head
	c := p.Train.withDefaults()
	out.Gradients = float32Bytes * count(m.trainable())
	if out.Optimizer, err = optimizer.Bytes(c.optimizer(), learned, threads()); err != nil {
		return Memory{}, fmt.Errorf("train: %w", err)
	}
	trainer := net.NewTrainer(m.network(nil), threads())
	if c.GradientCheckpointing {
		trainer.Recompute()
	}
	examples, validation := newUsable(p.Training), newUsable(p.Validation)
	examples.pack(c.PackTokens)
	out.Activations = trainer.Bytes(c.batchSizes(examples, validation))
	if c.KeepBest && validation.len() > 0 {
		out.Other += out.Gradients // as many copies
	}
	const ofExample, ofOrder = 16 + 4, 3 * 8 // see examplefile, usable and rowOrder
	out.Other += ofExample*int64(examples.rows()+validation.rows()) + ofOrder*int64(examples.len())
	out.Other += slack(out.Sum())
	if rest := out.Sum() - out.Weights; stored.opening > rest { // what opening needs is used again
		out.Other += stored.opening - rest
	}
	return out, nil
}

// adapter is the adapter of the training without its weights, or nothing.
func (p Plan) adapter(m *Model) (*adapter, error) {
	switch {
	case p.Full:
		return nil, nil
	case p.Adapter == "":
		return p.LoRA.of(m)
	}
	described, err := readAdapterConfig(filepath.Join(p.Adapter, configFile))
	if err != nil {
		return nil, err
	}
	a, err := m.newAdapter(described)
	if err == nil {
		a.cfg.Dropout = p.LoRA.Dropout
	}
	return a, err
}

// sizes are how many bytes the weights of a checkpoint take in memory.
type sizes struct {
	of      map[string]int64
	head    int64 // of a tied model that has one all the same
	opening int64 // most that is needed beside, while the checkpoint is opened
}

// storedSizes reads how many bytes the weights of a checkpoint will take, see [loader].
func storedSizes(dir string, m *Model, bits int) (sizes, error) {
	out := sizes{of: map[string]int64{}}
	files, err := WeightFiles(dir)
	if err != nil {
		return out, err
	}
	for _, path := range files {
		if err := out.file(path, m, bits); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *sizes) file(path string, m *Model, bits int) (err error) {
	f, err := openTensors(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		if nf4.Belongs(t.Name) || m.byName[t.Name] == nil && t.Name != headName {
			continue
		}
		n, opening, err := s.tensor(f, t, m, bits)
		if err != nil {
			return &CheckpointError{File: path, Tensor: t.Name, Err: err}
		}
		s.opening = max(s.opening, opening)
		if m.byName[t.Name] == nil {
			s.head = n
		} else {
			s.of[t.Name] = n
		}
	}
	return nil
}

// tensor is how many bytes a tensor will take, and how many beside while it is read.
func (s *sizes) tensor(f *safetensors.File, t safetensors.Tensor, m *Model, bits int) (n, opening int64, err error) {
	if nf4.Stored(f, t.Name) {
		w, err := nf4.Open(f, t.Name)
		if err != nil {
			return 0, 0, err
		}
		return int64(w.Bytes()), 0, nil
	}
	whole := float32Bytes * t.Size()
	if len(t.Shape) != 2 {
		return whole, 0, nil
	}
	rows, columns := t.Shape[0], t.Shape[1]
	switch {
	case bits == 4 && m.cfg.isProjection(strings.TrimSuffix(t.Name, weightSuffix)):
		return int64(weight.NF4Size(rows, columns)), whole, nil
	case bits == 8 && m.cfg.isProjection(strings.TrimSuffix(t.Name, weightSuffix)):
		return int64(weight.BytesSize(rows, columns, columns)), whole, nil
	case t.DType == safetensors.BF16 || t.DType == safetensors.F16:
		return int64(weight.SixteenSize(rows, columns)), 0, nil
	}
	return whole, 0, nil
}

// batchSizes are those of the largest batches of a training, and of its validation.
func (c TrainConfig) batchSizes(examples, validation usable) (training, validated net.Size) {
	batches := rowOrder{examples: examples, cfg: c}.epoch(0)
	if c.MaxSteps > 0 {
		batches = batches[:min(len(batches), c.MaxSteps*c.GradAccumulation)]
	}
	for _, batch := range batches {
		training = largest(training, examples.size(batch))
	}
	for at := 0; at < validation.len(); at += c.EvalBatchSize {
		validated = largest(validated, validation.size(following(at, min(c.EvalBatchSize, validation.len()-at))))
	}
	return training, validated
}

// following are so many numbers from one on.
func following(from, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + i
	}
	return out
}

func largest(a, b net.Size) net.Size {
	return net.Size{Tokens: max(a.Tokens, b.Tokens), Longest: max(a.Longest, b.Longest), Counted: max(a.Counted, b.Counted)}
}

// size is that of a batch of sequences.
func (u usable) size(batch []int) (s net.Size) {
	for _, i := range batch {
		for _, at := range u.sequence(i) {
			all, counted := u.all.Tokens(int(at))
			s.Tokens, s.Longest, s.Counted = s.Tokens+all, max(s.Longest, all), s.Counted+counted
		}
	}
	return s
}

// rows are all of them, also those that are not used.
func (u usable) rows() int {
	if u.all == nil {
		return 0
	}
	return u.all.Len()
}

// Alike are rows that are not known yet, all of one length.
type Alike struct{ Rows, RowTokens int }

// Len implements [Examples].
func (a Alike) Len() int { return a.Rows }

// Tokens implements [Examples].
func (a Alike) Tokens(int) (all, counted int) { return a.RowTokens, a.RowTokens - 1 }

// Example implements [Examples]. There are none.
func (Alike) Example(int) (Example, error) { return Example{}, errors.ErrUnsupported }

// Shortened are examples of so many tokens at most, by their lengths alone.
type Shortened struct {
	Examples

	Most int
}

// Tokens implements [Examples].
func (s Shortened) Tokens(i int) (all, counted int) {
	all, counted = s.Examples.Tokens(i)
	return min(all, s.Most), min(counted, s.Most)
}
