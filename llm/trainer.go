package llm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// trainer is the state of a training.
type trainer struct {
	cfg    TrainConfig
	model  *Model
	device *device
	// learn are the weights that change; grad, first and second are their
	// summed gradients and AdamW's moments.
	learn               []*param
	grad, first, second [][]float32
	step, total         int64
	part                int // parts of batches seen in this step
	loss, evalLoss      float64
	evalDue             bool // an epoch has ended and is not evaluated yet
	gradients, forward  *graph.Exec
}

func newTrainer(m *Model, cfg TrainConfig) (*trainer, error) {
	d, err := m.open()
	if err != nil {
		return nil, err
	}
	t := &trainer{cfg: cfg, model: m, device: d, learn: m.trainable()}
	for _, p := range t.learn {
		t.grad = append(t.grad, make([]float32, p.size()))
		t.first = append(t.first, make([]float32, p.size()))
		t.second = append(t.second, make([]float32, p.size()))
	}
	if t.gradients, err = d.graph("gradients", func(in []*graph.Node) []*graph.Node {
		loss, w := m.lossGraph(in, m.drops())
		learn := m.trainable()
		wrt := make([]*graph.Node, len(learn))
		for i, p := range learn {
			wrt[i] = w[p.name]
		}
		return append([]*graph.Node{loss}, graph.Gradient(loss, wrt...)...)
	}); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if t.forward, err = d.graph("loss", func(in []*graph.Node) []*graph.Node {
		loss, _ := m.lossGraph(in, false)
		return []*graph.Node{loss}
	}); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return t, nil
}

// lossInputs is how many inputs of lossGraph are no weights.
const lossInputs = 7

// lossGraph sums the negative log likelihoods of the counted tokens. Inputs:
// ids [B,T], cos and sin [1,T,1,D], mask [1,1,T,T], where [N,1] (places in
// the flattened batch whose next token counts), targets [N,1], weight [N],
// then all weights, and with drop what stays of the adapter's inputs, [B·T,
// in] for each module. Only counted places are projected onto the vocabulary,
// which is the largest single cost of a small model.
func (m *Model) lossGraph(in []*graph.Node, drop bool) (*graph.Node, weights) {
	w, keep := weights{}, weights{}
	all := m.all()
	for i, p := range all {
		w[p.name] = in[lossInputs+i]
	}
	if drop {
		for i, node := range in[lossInputs+len(all):] {
			keep[strings.TrimSuffix(m.lora.params[2*i].name, loraA)] = node
		}
	}
	n := network{keep: keep, cfg: m.cfg, w: w, lora: m.lora, cos: in[1], sin: in[2], mask: in[3]}
	x := n.hidden(in[0])
	d := x.Shape().Dimensions
	x = graph.Gather(graph.Reshape(x, d[0]*d[1], d[2]), in[4])
	logp := graph.LogSoftmax(n.logits(x), 1)
	hot := graph.OneHot(graph.Reshape(in[5], in[5].Shape().Dimensions[0]), m.cfg.VocabSize, logp.DType())
	picked := graph.ReduceSum(graph.Mul(logp, hot), 1)
	return graph.Neg(graph.ReduceAllSum(graph.Mul(picked, in[6]))), w
}

// inputs makes the inputs of lossGraph for rows, padded to buckets so that
// few shapes have to be compiled. size is the number of rows of a batch.
func (t *trainer) inputs(rows []Example, size int) (args []any, count int, err error) {
	width, n := 0, 0
	for _, r := range rows {
		width = max(width, len(r.IDs))
		n += r.Counted()
	}
	width = ceil(width, 16) * 16
	slots := max(ceil(n, 64), 1) * 64
	ids := make([]int32, size*width)
	where, targets, weight := make([]int32, slots), make([]int32, slots), make([]float32, slots)
	for i, r := range rows {
		copy(ids[i*width:], r.IDs)
		for j := 1; j < min(len(r.Count), len(r.IDs)); j++ {
			if r.Count[j] {
				where[count], targets[count], weight[count] = int32(i*width+j-1), r.IDs[j], 1
				count++
			}
		}
	}
	positions := make([]int, width)
	mask := make([]float32, width*width)
	for i := range width {
		positions[i] = i
		for j := i + 1; j < width; j++ {
			mask[i*width+j] = low
		}
	}
	cos, sin := rope(t.model.cfg, positions)
	dim := t.model.cfg.HeadDim
	args = []any{
		tensors.FromFlatDataAndDimensions(ids, size, width),
		tensors.FromFlatDataAndDimensions(cos, 1, width, 1, dim), tensors.FromFlatDataAndDimensions(sin, 1, width, 1, dim),
		tensors.FromFlatDataAndDimensions(mask, 1, 1, width, width),
		tensors.FromFlatDataAndDimensions(where, slots, 1), tensors.FromFlatDataAndDimensions(targets, slots, 1),
		tensors.FromFlatDataAndDimensions(weight, slots),
	}
	args, err = t.device.inputs(args, t.model.all())
	return args, count, err
}

// drops reports whether training drops inputs of the adapter.
func (m *Model) drops() bool { return m.lora != nil && m.lora.cfg.Dropout > 0 }

// dropout appends what stays of the adapter's inputs.
func (t *trainer) dropout(args []any) []any {
	if !t.model.drops() {
		return args
	}
	ids := args[0].(*tensors.Tensor).Shape().Dimensions
	n := ids[0] * ids[1]
	for _, keep := range t.model.lora.kept(n, t.cfg.Seed, t.step, t.part) {
		args = append(args, tensors.FromFlatDataAndDimensions(keep, n, len(keep)/n))
	}
	t.part++
	return args
}

// shards is how many parts of a batch are worked on side by side. It is the
// same on every machine, so that results are.
const shards = 2

// backward adds the gradients of a batch to those of the step.
func (t *trainer) backward(rows []Example, size int) (loss float64, count int, err error) {
	part := ceil(size, min(shards, size))
	var parts [shards]struct {
		args, out []*tensors.Tensor
		err       error
	}
	var wg sync.WaitGroup
	used := 0
	for ; used < shards && len(rows) > 0; used++ {
		args, n, err := t.inputs(rows[:min(part, len(rows))], part)
		if err != nil {
			wg.Wait()
			return 0, 0, err
		}
		rows = rows[min(part, len(rows)):]
		count += n
		weights := len(args)
		args = t.dropout(args)
		p := &parts[used]
		p.args = append(temporary(args), owned(args[weights:])...)
		wg.Go(func() { p.out, p.err = t.gradients.Call(args...) })
	}
	wg.Wait()
	for _, p := range parts[:used] {
		if err = errors.Join(err, p.err); err != nil {
			continue
		}
		l, err := t.add(p.out)
		if err != nil {
			return 0, 0, err
		}
		loss += l
		if err := finalize(append(p.out, p.args...)); err != nil {
			return 0, 0, err
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("train: %w", err)
	}
	return loss, count, nil
}

// add adds the gradients of a part, in a fixed order.
func (t *trainer) add(out []*tensors.Tensor) (loss float64, err error) {
	loss = float64(tensors.MustCopyFlatData[float32](out[0])[0])
	for i, g := range out[1:] {
		sum := t.grad[i]
		if err := tensors.ConstFlatData(g, func(flat []float32) {
			for j, v := range flat {
				sum[j] += v
			}
		}); err != nil {
			return 0, fmt.Errorf("train: %w", err)
		}
	}
	return loss, nil
}

// temporary are the inputs that belong to one batch.
func temporary(args []any) []*tensors.Tensor { return owned(args[:lossInputs]) }

func owned(args []any) []*tensors.Tensor {
	var out []*tensors.Tensor
	for _, a := range args {
		out = append(out, a.(*tensors.Tensor))
	}
	return out
}

func finalize(ts []*tensors.Tensor) error {
	for _, t := range ts {
		if err := t.FinalizeAll(); err != nil {
			return fmt.Errorf("free tensor: %w", err)
		}
	}
	return nil
}

func (t *trainer) zero() {
	t.part = 0
	for _, g := range t.grad {
		clear(g)
	}
}

// update is AdamW (Loshchilov and Hutter 2019) as torch computes it; biases
// and norms do not decay, as in the Hugging Face trainer. scale is applied to
// the gradients first.
func (t *trainer) update(rate, scale float64) (norm float64, err error) {
	sum := 0.0
	for _, g := range t.grad {
		for _, v := range g {
			sum += float64(v) * float64(v)
		}
	}
	norm = math.Sqrt(sum) * scale
	if t.cfg.MaxGradNorm > 0 && norm > t.cfg.MaxGradNorm {
		scale *= t.cfg.MaxGradNorm / (norm + 1e-6)
	}
	k := float64(t.step + 1)
	b1, b2 := t.cfg.Beta1, t.cfg.Beta2
	rateHat, root := rate/(1-math.Pow(b1, k)), math.Sqrt(1-math.Pow(b2, k))
	for i, p := range t.learn {
		decay := 1.0
		if !strings.Contains(p.name, "norm") && !strings.HasSuffix(p.name, ".bias") {
			decay = 1 - rate*t.cfg.WeightDecay
		}
		step(p.data, t.grad[i], t.first[i], t.second[i], scale, decay, rateHat, root, b1, b2, t.cfg.Epsilon)
	}
	return norm, t.device.changed(t.learn)
}

func step(w, g, m, v []float32, scale, decay, rate, root, b1, b2, eps float64) {
	for j := range w {
		d := float64(g[j]) * scale
		mj := b1*float64(m[j]) + (1-b1)*d
		vj := b2*float64(v[j]) + (1-b2)*d*d
		m[j], v[j] = float32(mj), float32(vj)
		w[j] = float32(float64(w[j])*decay - rate*mj/(math.Sqrt(vj)/root+eps))
	}
}

// evaluate is the mean loss of the examples.
func (t *trainer) evaluate(ctx context.Context, examples usable) (float64, error) {
	sum, n := 0.0, 0
	for at := 0; at < examples.len(); at += t.cfg.EvalBatchSize {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("evaluate: %w", context.Cause(ctx))
		}
		batch := make([]int, min(t.cfg.EvalBatchSize, examples.len()-at))
		for i := range batch {
			batch[i] = at + i
		}
		rows, err := examples.read(batch)
		if err != nil {
			return 0, fmt.Errorf("evaluate: %w", err)
		}
		args, count, err := t.inputs(rows, t.cfg.EvalBatchSize)
		if err != nil {
			return 0, err
		}
		out, err := t.forward.Call(args...)
		if err != nil {
			return 0, fmt.Errorf("evaluate: %w", err)
		}
		sum += float64(tensors.MustCopyFlatData[float32](out[0])[0])
		n += count
		if err := finalize(append(out, temporary(args)...)); err != nil {
			return 0, err
		}
	}
	return sum / float64(max(n, 1)), nil
}

// state is what a checkpoint says besides its tensors.
type state struct {
	Step     int64   `json:"step"`
	Total    int64   `json:"total"`
	Loss     float64 `json:"loss"`
	EvalLoss float64 `json:"eval_loss"`
	// EvalDue says that the step ends an epoch that is not evaluated yet.
	EvalDue bool `json:"eval_due,omitempty"`
}

const (
	stateFile   = "trainer_state.json"
	weightsFile = "trainer.safetensors"
)

// save writes a checkpoint: the weights that learn and AdamW's moments.
func (t *trainer) save(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := writeTensors(filepath.Join(dir, weightsFile), "float32", t.saved()); err != nil {
		return err
	}
	body, err := json.Marshal(state{Step: t.step, Total: t.total, Loss: t.loss, EvalLoss: t.evalLoss, EvalDue: t.evalDue})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, stateFile), body, 0o600)
}

func (t *trainer) saved() []*param {
	var out []*param
	for i, p := range t.learn {
		out = append(out, &param{name: "weight." + p.name, shape: p.shape, data: p.data},
			&param{name: "first." + p.name, shape: p.shape, data: t.first[i]}, &param{name: "second." + p.name, shape: p.shape, data: t.second[i]})
	}
	return out
}

// load goes on from a checkpoint. One that is of another training leaves
// everything as it was.
func (t *trainer) load(dir string) error {
	s, err := t.belongs(dir)
	if err != nil {
		return &CheckpointError{File: dir, Err: fmt.Errorf("%w: %w", ErrForeign, err)}
	}
	byName := t.savedByName()
	err = readTensors(filepath.Join(dir, weightsFile), func(name string, _ []int) ([]float32, error) {
		return byName[name].data, nil
	})
	if err != nil {
		return err
	}
	t.step, t.loss, t.evalLoss, t.evalDue = s.Step, s.Loss, s.EvalLoss, s.EvalDue
	return t.device.changed(t.learn)
}

// belongs reads the state of a checkpoint, and looks whether it is of this
// training: one of as many steps, of weights with these names and shapes.
func (t *trainer) belongs(dir string) (s state, err error) {
	body, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("%s: %w", stateFile, err)
	}
	if s.Total != t.total {
		return s, fmt.Errorf("it is of %d steps, this training has %d", s.Total, t.total)
	}
	missing := t.savedByName()
	err = readTensors(filepath.Join(dir, weightsFile), func(name string, shape []int) ([]float32, error) {
		p, ok := missing[name]
		switch {
		case !ok:
			return nil, errors.New("nothing of this name is learned here")
		case !sameShape(shape, p.shape):
			return nil, fmt.Errorf("its shape is %v, here it is %v", shape, p.shape)
		}
		delete(missing, name)
		return nil, nil // the values are for later
	})
	for name := range missing {
		err = cmp.Or(err, error(&CheckpointError{File: filepath.Join(dir, weightsFile), Tensor: name, Err: errMissing}))
	}
	return s, err
}

func (t *trainer) savedByName() map[string]*param {
	byName := map[string]*param{}
	for _, p := range t.saved() {
		byName[p.name] = p
	}
	return byName
}
