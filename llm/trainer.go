package llm

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tunebus/tunebus/llm/internal/dropout"
	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/internal/optimizer"
	"github.com/tunebus/tunebus/llm/internal/schedule"
)

// trainer is the state of a training.
type trainer struct {
	cfg       TrainConfig
	model     *Model
	net       *net.Trainer
	optimizer *optimizer.Optimizer
	// learn are the weights that change, and grad their summed gradients.
	learn       []*param
	grad        [][]float32
	rows        []net.Row // of the batch
	step, total int64
	part        int64 // batches seen in this step
	loss        float64
	validated   validations
	schedule    *schedule.Schedule
	told        told
	garbage     *garbage
	reshuffled  bool // see rowOrder
}

// newTrainer makes the trainer of a training of so many steps. An error names what the
// settings ask for and there is not.
func newTrainer(m *Model, cfg TrainConfig, total int64) (*trainer, error) {
	t := &trainer{cfg: cfg, model: m, learn: m.trainable(), total: total, garbage: newGarbage()}
	thaw(t.learn)
	gradients := map[*param][]float32{}
	var learned []optimizer.Weight
	for i, p := range t.learn {
		t.grad = append(t.grad, make([]float32, p.size()))
		gradients[p] = t.grad[i]
		learned = append(learned, optimizer.Weight{
			Name: p.name, Shape: p.shape, Values: p.data, Gradients: t.grad[i], Decays: decays(p.name), Embeds: p.name == embedName,
		})
	}
	t.net = net.NewTrainer(m.network(gradients), threads())
	if cfg.GradientCheckpointing {
		t.net.Recompute()
	}
	var err, other error
	t.optimizer, err = optimizer.New(cfg.optimizer(), learned, threads())
	t.schedule, other = schedule.New(cfg.Scheduler, cfg.SchedulerArguments, schedule.Span{Rate: cfg.LearningRate, Warmup: cfg.WarmupSteps, Steps: total})
	if err := errors.Join(err, other); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return t, nil
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

// update changes the weights by their gradients and clears these, to which scale is
// applied first. It fails, and changes nothing, where they are no numbers.
func (t *trainer) update(rate, scale float64) (norm float64, err error) {
	norm = t.optimizer.Norm() * scale
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, fmt.Errorf("%w: the gradients of step %d are none; lower the learning rate", ErrDiverged, t.step+1)
	}
	if t.cfg.MaxGradNorm > 0 && norm > t.cfg.MaxGradNorm {
		scale *= t.cfg.MaxGradNorm / (norm + 1e-6)
	}
	t.model.changed()
	t.optimizer.Step(optimizer.Step{Rate: rate, Decay: t.cfg.WeightDecay, Scale: scale, Number: t.step + 1})
	return norm, nil
}

// evaluate is the mean loss of the examples.
func (t *trainer) evaluate(ctx context.Context, examples usable) (float64, error) {
	sum, n := 0.0, 0
	for at := 0; at < examples.len(); at += t.cfg.EvalBatchSize {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("evaluate: %w", context.Cause(ctx))
		}
		rows, err := examples.read(following(at, min(t.cfg.EvalBatchSize, examples.len()-at)))
		if err != nil {
			return 0, fmt.Errorf("evaluate: %w", err)
		}
		loss, count, err := t.net.Loss(t.batch(rows))
		if err != nil {
			return 0, fmt.Errorf("evaluate: %w", err)
		}
		sum += loss
		n += count
		t.garbage.collect()
	}
	return sum / float64(max(n, 1)), nil
}
