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

	"github.com/tunebus/tunebus/llm/internal/dropout"
	"github.com/tunebus/tunebus/llm/internal/kernel"
	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/internal/optimizer"
)

// trainer is the state of a training.
type trainer struct {
	cfg       TrainConfig
	model     *Model
	net       *net.Trainer
	optimizer *optimizer.Optimizer
	// learn are the weights that change; grad, first and second are their
	// summed gradients and AdamW's moments.
	learn               []*param
	grad, first, second [][]float32
	rows                []net.Row // of the batch
	step, total         int64
	part                int64 // batches seen in this step
	loss                float64
	validated           validations
	reshuffled          bool // see rowOrder
}

func newTrainer(m *Model, cfg TrainConfig) *trainer {
	t := &trainer{cfg: cfg, model: m, learn: m.trainable()}
	gradients := map[*param][]float32{}
	var learned []optimizer.Learned
	for i, p := range t.learn {
		t.grad = append(t.grad, make([]float32, p.size()))
		t.first = append(t.first, make([]float32, p.size()))
		t.second = append(t.second, make([]float32, p.size()))
		gradients[p] = t.grad[i]
		learned = append(learned, optimizer.Learned{Weights: p.data, Gradients: t.grad[i], First: t.first[i], Second: t.second[i], Decays: decays(p.name)})
	}
	t.net = net.NewTrainer(m.network(gradients), threads())
	if cfg.GradientCheckpointing {
		t.net.Recompute()
	}
	t.optimizer = optimizer.New(learned, threads())
	return t
}

// batch are rows as package net has them.
func (t *trainer) batch(rows []Example) []net.Row {
	t.rows = t.rows[:0]
	for _, r := range rows {
		t.rows = append(t.rows, net.Row(r))
	}
	return t.rows
}

// backward adds the gradients of a batch to those of the step.
func (t *trainer) backward(rows []Example) (loss float64, count int, err error) {
	loss, count, err = t.net.Gradients(t.batch(rows), dropout.Draw{Seed: t.cfg.Seed, Step: t.step, Part: t.part})
	t.part++
	if err != nil {
		return 0, 0, fmt.Errorf("train: %w", err)
	}
	return loss, count, nil
}

// update changes the weights by AdamW (Loshchilov and Hutter 2019) and clears
// the gradients, to which scale is applied first. It fails, and changes
// nothing, where they are no numbers.
func (t *trainer) update(rate, scale float64) (norm float64, err error) {
	norm = t.optimizer.Norm() * scale
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, fmt.Errorf("%w: the gradients of step %d are none; lower the learning rate", ErrDiverged, t.step+1)
	}
	if t.cfg.MaxGradNorm > 0 && norm > t.cfg.MaxGradNorm {
		scale *= t.cfg.MaxGradNorm / (norm + 1e-6)
	}
	t.model.changed()
	t.optimizer.Step(kernel.AdamW{
		Rate: rate, Beta1: t.cfg.Beta1, Beta2: t.cfg.Beta2, Epsilon: t.cfg.Epsilon, Decay: t.cfg.WeightDecay, Scale: scale, Step: t.step + 1,
	})
	return norm, nil
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
		loss, count, err := t.net.Loss(t.batch(rows))
		if err != nil {
			return 0, fmt.Errorf("evaluate: %w", err)
		}
		sum += loss
		n += count
	}
	return sum / float64(max(n, 1)), nil
}

// state is what a checkpoint says besides its tensors.
type state struct {
	Step     int64   `json:"step"`
	Total    int64   `json:"total"`
	Loss     float64 `json:"loss"`
	EvalLoss float64 `json:"eval_loss"`
	// EvalDue says that the step is followed by a validation that was not made yet.
	EvalDue bool `json:"eval_due,omitempty"`
	// BestLoss is the lowest loss of a validation, that of BestStep, and Worse counts
	// the validations since.
	BestLoss float64 `json:"best_eval_loss,omitempty"`
	BestStep int64   `json:"best_step,omitempty"`
	Worse    int     `json:"worse,omitempty"`
	// SameOrder says that each epoch reads the rows in the same order; earlier versions
	// shuffled them for each.
	SameOrder bool `json:"same_order,omitempty"`
}

const (
	stateFile   = "trainer_state.json"
	weightsFile = "trainer.safetensors"
)

// save writes a checkpoint: the weights that learn, the best ones, and AdamW's
// moments.
func (t *trainer) save(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := writeTensors(filepath.Join(dir, weightsFile), "float32", t.saved()); err != nil {
		return err
	}
	v := t.validated
	body, err := json.Marshal(state{
		Step: t.step, Total: t.total, Loss: t.loss, EvalLoss: v.last, EvalDue: v.due, BestLoss: v.best, BestStep: v.bestStep, Worse: v.worse,
		SameOrder: !t.reshuffled,
	})
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
		if t.validated.weights != nil {
			out = append(out, &param{name: "best." + p.name, shape: p.shape, data: t.validated.weights[i]})
		}
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
	v := &t.validated
	t.step, t.loss, v.last, v.due, v.best, v.bestStep, v.worse = s.Step, s.Loss, s.EvalLoss, s.EvalDue, s.BestLoss, s.BestStep, s.Worse
	t.reshuffled = !s.SameOrder
	t.model.changed()
	return nil
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
	if t.cfg.KeepBest && s.BestStep > 0 {
		t.makeBest()
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
