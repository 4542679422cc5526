package llm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// TrainConfig says how Train trains. Names and meanings are Hugging Face's.
type TrainConfig struct {
	Epochs int
	// MaxSteps, if it is not 0, is the number of optimizer steps, whatever Epochs is.
	MaxSteps         int
	BatchSize        int
	EvalBatchSize    int
	GradAccumulation int
	LearningRate     float64
	WarmupSteps      int
	// WarmupRatio, if it is not 0, is the share of all steps that the warm-up takes, in
	// place of WarmupSteps.
	WarmupRatio float64
	WeightDecay float64
	// Scheduler is one of [Schedulers], and SchedulerArguments are what it takes. Default
	// "linear".
	Scheduler          string
	SchedulerArguments map[string]any
	// Optimizer is one of [Optimizers]. Default "adamw_torch".
	Optimizer string
	// PackTokens, if it is not 0, puts several rows into one sequence of so many tokens
	// at most: BatchSize then counts sequences. No row sees another one, and each begins
	// at position 0.
	PackTokens int
	// MaxGradNorm clips the gradients; 0: not at all.
	MaxGradNorm float64
	Seed        int64
	// LogSteps is the distance between two calls of OnStep, which gets the mean loss of
	// the steps since the call before. Default 1. The last
	// step is told in any case, the first one where LogFirstStep is set.
	LogSteps     int
	LogFirstStep bool
	// GradientCheckpointing keeps the inputs of the layers alone, and computes
	// the rest once more: less memory, more time, the same results.
	GradientCheckpointing bool
	// SaveSteps is the distance between two checkpoints; 0: none.
	SaveSteps int
	// EvalSteps is the distance between two validations; 0: one behind each epoch. The
	// last step is followed by one in any case.
	EvalSteps int
	// Patience is the number of validations without a lower loss behind which the
	// training ends; 0: it never ends early.
	Patience int
	// KeepBest has the training end with the weights of the validation with the lowest
	// loss, of which it keeps a copy.
	KeepBest bool
	// Beta1, Beta2 and Epsilon are AdamW's. Defaults 0.9, 0.999 and 1e-8.
	Beta1, Beta2, Epsilon float64
	// Momentum, Dampening and Nesterov are those of the optimizer "sgd". The latter wants
	// momentum and no dampening.
	Momentum, Dampening float64
	Nesterov            bool
}

func (c TrainConfig) withDefaults() TrainConfig {
	c.Epochs, c.BatchSize = max(c.Epochs, 1), max(c.BatchSize, 1)
	c.GradAccumulation, c.LogSteps = max(c.GradAccumulation, 1), max(c.LogSteps, 1)
	if c.EvalBatchSize < 1 {
		c.EvalBatchSize = c.BatchSize
	}
	if c.Scheduler == "" {
		c.Scheduler = "linear"
	}
	if c.Beta1 == 0 {
		c.Beta1 = 0.9
	}
	if c.Beta2 == 0 {
		c.Beta2 = 0.999
	}
	if c.Epsilon == 0 {
		c.Epsilon = 1e-8
	}
	return c
}

// StepInfo describes an optimizer step.
type StepInfo struct {
	Step, Total int64 // from 1
	Epoch       float64
	// Loss is the mean negative log likelihood of the step's counted tokens,
	// in nats; for [Hooks], that of all steps since the call before.
	Loss, LearningRate float64
	GradNorm           float64 // before clipping
	TokensPerSecond    float64 // all tokens, padding apart; for [Hooks], as Loss
}

// Hooks are called while Train works; each may be nil.
type Hooks struct {
	OnStep func(StepInfo)
	// OnEval gets the loss of the validation set after each epoch.
	OnEval func(step int64, loss float64)
	// OnCheckpoint is called every SaveSteps steps, and once more when ctx has
	// ended in between; save writes a checkpoint into a folder. An error ends
	// the training.
	OnCheckpoint func(ctx context.Context, step int64, save func(dir string) error) error
}

// TrainResult sums a training up.
type TrainResult struct {
	Steps         int64
	FinalLoss     float64 // of the last step
	FinalEvalLoss float64 // of the last validation, or of the weights that KeepBest took
	// BestStep is that of the validation with the lowest loss; 0: there was none.
	BestStep int64
	// HighestRate is the highest learning rate of all steps.
	HighestRate float64
	// Planned are the steps that there would have been without Patience.
	Planned int64
	Epochs  float64 // that were made, with the part of the last one
	Tokens  int64   // of all steps, those before a resume too, padding apart
	// Rows are those that are trained on, and Sequences what they are packed into.
	Rows, Sequences int
}

var (
	// ErrNothing says that there is nothing to learn from.
	ErrNothing = errors.New("train: there is nothing to learn from")
	// ErrDiverged says that the training went astray. It would again, since it
	// depends on nothing but what it was given.
	ErrDiverged = errors.New("train: the loss is no number")
	// ErrDamaged means, beside [ErrDiverged], that no learning rate would help.
	ErrDamaged = errors.New("the weights of the base model are damaged")
	// ErrForeign says that the checkpoint to go on from is of another training.
	// Nothing was changed, so that Train can be called again without it.
	ErrForeign = errors.New("it does not belong to this training")
)

// Train trains the adapter, or all weights where there is none, and stops
// soon after ctx ends. resume is a checkpoint's folder or empty; a resumed
// training goes on bit by bit as if it had never stopped.
func (m *Model) Train(ctx context.Context, training, evaluation Examples, cfg TrainConfig, hooks Hooks, resume string) (TrainResult, error) {
	cfg = cfg.withDefaults()
	examples, validation := newUsable(training), newUsable(evaluation)
	if examples.len() == 0 {
		return TrainResult{}, fmt.Errorf("%w: there are no examples", ErrNothing)
	}
	rows := examples.len()
	examples.pack(cfg.PackTokens)
	perEpoch := int64(ceil(ceil(examples.len(), cfg.BatchSize), cfg.GradAccumulation))
	total := perEpoch * int64(cfg.Epochs)
	if cfg.MaxSteps > 0 {
		total = int64(cfg.MaxSteps)
	}
	if cfg.WarmupRatio > 0 {
		cfg.WarmupSteps = int(math.Ceil(float64(total) * cfg.WarmupRatio))
	}
	t, err := newTrainer(m, cfg, total)
	if err != nil {
		return TrainResult{}, err
	}
	if resume != "" {
		if err := t.load(resume); err != nil {
			return TrainResult{}, err
		}
	}
	t.net.Reserve(cfg.batchSizes(examples, validation))
	t.garbage.collect()
	saved := t.step
	res := TrainResult{FinalLoss: t.loss, FinalEvalLoss: t.validated.last, Planned: t.total, Tokens: t.order(examples).tokensBefore(t.step, perEpoch), Rows: rows, Sequences: examples.len()}
	if err := t.evaluateIfDue(ctx, validation, hooks); err != nil {
		return res, err // the checkpoint that it resumed from is as good
	}
	over := func() bool { return t.step >= t.total || t.validated.stopped(cfg) }
	for !over() {
		epoch := t.step / perEpoch
		batches := t.order(examples).epoch(epoch)
		for i := t.step % perEpoch; i < perEpoch && !over(); i++ {
			group := batches[i*int64(cfg.GradAccumulation) : min((i+1)*int64(cfg.GradAccumulation), int64(len(batches)))]
			info, tokens, err := t.optimize(ctx, examples, group)
			if err != nil {
				return res, errors.Join(err, t.last(ctx, err, hooks, saved))
			}
			info.Epoch = float64(t.step) / float64(perEpoch)
			res.Tokens += tokens
			t.told.add(info, tokens)
			if hooks.OnStep != nil && (t.step%int64(cfg.LogSteps) == 0 || t.step == 1 && cfg.LogFirstStep || t.step == t.total) {
				hooks.OnStep(t.told.take(info))
			}
			t.validated.due = t.validateAt(t.step, i == perEpoch-1)
			if err := t.evaluateIfDue(ctx, validation, hooks); err != nil {
				return res, errors.Join(err, t.last(ctx, err, hooks, saved))
			}
			if cfg.SaveSteps > 0 && hooks.OnCheckpoint != nil && t.step%int64(cfg.SaveSteps) == 0 && !over() {
				if err := hooks.OnCheckpoint(ctx, t.step, t.save); err != nil {
					return res, err
				}
				saved = t.step
			}
		}
	}
	t.takeBest()
	for _, p := range t.learn {
		if err := checkFinite(p.data); err != nil {
			return res, fmt.Errorf("%w any more behind step %d, which made weights of %s that are none; lower the learning rate", ErrDiverged, t.step, p.name)
		}
	}
	res.Steps, res.FinalLoss, res.FinalEvalLoss, res.BestStep = t.step, t.loss, t.validated.last, t.validated.bestStep
	res.HighestRate = t.schedule.Highest(t.step)
	res.Epochs = float64(t.step) / float64(perEpoch)
	return res, nil
}

// last offers a checkpoint of the steps since the one saved last, if it was the
// end of ctx that ended the training.
func (t *trainer) last(ctx context.Context, why error, hooks Hooks, saved int64) error {
	if ctx.Err() == nil || !errors.Is(why, context.Cause(ctx)) || t.cfg.SaveSteps == 0 || hooks.OnCheckpoint == nil || t.step == saved {
		return nil
	}
	return hooks.OnCheckpoint(ctx, t.step, t.save)
}

// optimize makes one step from the gradients of a group of batches.
func (t *trainer) optimize(ctx context.Context, examples usable, group [][]int) (StepInfo, int64, error) {
	began := time.Now()
	sum, n, tokens := 0.0, 0, int64(0)
	t.part = 0
	t.optimizer.Clear() // a step that was stopped may have left some
	for _, batch := range group {
		if ctx.Err() != nil {
			return StepInfo{}, 0, fmt.Errorf("train: %w", context.Cause(ctx))
		}
		rows, err := examples.read(batch)
		if err != nil {
			return StepInfo{}, 0, fmt.Errorf("train: %w", err)
		}
		for _, row := range rows {
			tokens += int64(len(row.IDs))
		}
		loss, count, err := t.backward(rows)
		if err != nil {
			return StepInfo{}, 0, err
		}
		sum += loss
		n += count
		t.garbage.collect()
	}
	if n == 0 {
		return StepInfo{}, 0, fmt.Errorf("%w: no token of any example counts in the loss", ErrNothing)
	}
	t.loss = sum / float64(n)
	if math.IsNaN(t.loss) || math.IsInf(t.loss, 0) {
		if t.step == 0 {
			return StepInfo{}, 0, fmt.Errorf("%w at the first step, before anything was learned: %w", ErrDiverged, ErrDamaged)
		}
		return StepInfo{}, 0, fmt.Errorf("%w any more; lower the learning rate", ErrDiverged)
	}
	rate := t.schedule.Rate(t.step)
	norm, err := t.update(rate, 1/float64(n))
	if err != nil {
		return StepInfo{}, 0, err
	}
	t.step++
	return StepInfo{
		Step: t.step, Total: t.total, Loss: t.loss, LearningRate: rate, GradNorm: norm,
		TokensPerSecond: float64(tokens) / time.Since(began).Seconds(),
	}, tokens, nil
}

func ceil(a, b int) int { return (a + b - 1) / b }
