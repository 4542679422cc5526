package finetune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/safetensors"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/spec/optimizerargs"
	"github.com/tunebus/tunebus/services/finetune/inputs"
)

// Engine is the built-in engine: it trains on the CPU, in pure Go.
type Engine struct {
	// Host says how much memory there is. Default: this machine.
	Host *hostmemory.Host
}

func (e Engine) host() hostmemory.Host {
	if e.Host != nil {
		return *e.Host
	}
	return hostmemory.Machine()
}

// Run implements [engine.Engine].
func (e Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	s := job.Request.Specification.FineTuner
	res := engine.Result{Notes: spec.EngineNotes(job.Request.Specification, events.Finetune, spec.Builtin).Lines()}
	if err := CheckSchedule(s); err != nil {
		return res, engine.Permanent("bad_key", fmt.Errorf("fine_tuner.lr_scheduler_kwargs: %w", err))
	}
	base, err := fetchBase(ctx, job)
	if err != nil {
		return res, err
	}
	if _, err := e.estimate(&base, s, fewest()); err != nil { // before the rows are prepared
		return res, err
	}
	data, err := inputs.Prepare(ctx, job, base.Base, nil)
	defer data.Release()
	res.Datasets = data.Datasets
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, data.Notes...)
	needed, err := e.estimate(&base, s, prepared(data))
	if err != nil {
		return res, err
	}
	before, _ := e.host().Used()
	engine.WriteLog(job, "info", fmt.Sprintf("the training is going to take %s of memory: %s", hostmemory.Size(needed.Sum()), parts(needed)))
	job.Stage(engine.StageLoad)
	named := progress.Doing(ctx, fmt.Sprintf("opening fine_tuner.base_model_id = %q", s.BaseModelID))
	model, err := base.open(s)
	named()
	res.Notes = append(res.Notes, base.notes...)
	res.Notes = append(res.Notes, base.AdapterNotes(job.Request.Specification)...)
	if err != nil {
		return res, err
	}
	job.Stage(engine.StageTrain)
	trained, err := train(ctx, job, model, data)
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, endNotes(s, trained)...)
	dir, err := job.Scratch("model")
	if err != nil {
		return res, err
	}
	job.Stage(engine.StageSave)
	defer progress.Doing(ctx, "writing the tuned model to the scratch folder")()
	if err := save(model, base, dir, s); err != nil {
		return res, err
	}
	a, err := job.PutDir(ctx, events.ArtifactModel, dir)
	if err != nil {
		return res, err
	}
	res.Artifacts = []events.Artifact{a}
	res.TokensIn = trained.Tokens
	res.Used = base.Used(s, base.took(s), dir)
	res.Statistics = map[string]float64{
		"final_training_loss":  trained.FinalLoss,
		"total_epochs":         trained.Epochs,
		events.StatisticSteps:  float64(trained.Steps),
		"trainable_parameters": float64(model.TrainableParameters()),
		"training_rows":        float64(data.Rows),

		"estimated_memory_bytes": float64(before + needed.Sum()),
	}
	if _, most := e.host().Used(); most > 0 {
		res.Statistics["peak_memory_bytes"] = float64(most)
	}
	if trained.FinalEvalLoss != 0 { // it is 0 without validation data
		res.Statistics["final_eval_loss"] = trained.FinalEvalLoss
	}
	if trained.Steps < trained.Planned {
		res.Statistics[events.StatisticPlannedSteps] = float64(trained.Planned)
	}
	if trained.BestStep > 0 {
		res.Statistics[events.StatisticBestStep] = float64(trained.BestStep)
	}
	return res, nil
}

// train trains the model from the job's checkpoint, or from the start if the
// checkpoint is of another training.
func train(ctx context.Context, job *engine.Job, model *llm.Model, data *inputs.Data) (llm.TrainResult, error) {
	cfg := trainConfig(job.Request.Specification.FineTuner)
	var reportErr error
	hooks := reportTo(ctx, job, &reportErr)
	// The model asks its context once for each batch, of the validation too: one
	// step, or one validation, may take longer than a stage without progress.
	polled := progress.Polled(ctx)
	res, err := model.Train(polled, data.Training, data.Evaluation(), cfg, hooks, job.Resume.Dir)
	if errors.Is(err, llm.ErrForeign) { // such as after a change of a file below the data roots
		if err := job.StartOver(ctx, err); err != nil {
			return res, err
		}
		res, err = model.Train(polled, data.Training, data.Evaluation(), cfg, hooks, "")
	}
	return res, errors.Join(permanent(err, job.Request.Specification.FineTuner), reportErr)
}

// permanent marks an error of a training that every attempt would meet: same rows, same
// seed, same outcome.
func permanent(err error, s events.FineTuner) error {
	_, foreign := errors.AsType[*llm.TokenError](err)
	switch {
	case errors.Is(err, llm.ErrDiverged):
		return engine.Permanent("diverged", fmt.Errorf("%s: %w", causeOf(err, s), err))
	case errors.Is(err, llm.ErrNothing):
		return engine.Permanent("nothing_to_learn", err)
	case foreign:
		return engine.Permanent("bad_model", fmt.Errorf("fine_tuner.base_model_id = %q: %w", s.BaseModelID, err))
	}
	return err
}

// endNotes say what rows were packed into, where a training ended otherwise than at its
// last step, and of which step its model is.
func endNotes(s events.FineTuner, r llm.TrainResult) (notes []string) {
	if s.Packing {
		notes = append(notes, fmt.Sprintf("fine_tuner.packing: rows were put into sequences of at most %s tokens (rows: %s, sequences: %s); no row saw another one, and device_train_batch_size counts sequences",
			events.Count(s.MaxSequenceLength), events.Count(r.Rows), events.Count(r.Sequences)))
	}
	if note := rateNote(s, r); note != "" {
		notes = append(notes, note)
	}
	if r.Steps < r.Planned {
		notes = append(notes, fmt.Sprintf("fine_tuner.early_stopping_patience = %d: the training ended at step %s of %s, since eval_loss was lowest at step %s",
			s.EarlyStoppingPatience, events.Count(r.Steps), events.Count(r.Planned), events.Count(r.BestStep)))
	}
	if s.LoadBestModelAtEnd && r.BestStep > 0 && r.BestStep < r.Steps {
		notes = append(notes, fmt.Sprintf("fine_tuner.load_best_model_at_end: the model is that of step %s, with the lowest eval_loss, %.4g", events.Count(r.BestStep), r.FinalEvalLoss))
	}
	return notes
}

// nearly is the share of the learning rate from which on it counts as reached. Schedules
// of few steps begin a little below it.
const nearly = 0.9

// rateNote says where the learning rate was never what fine_tuner.learning_rate says, as
// with a warm-up that is as long as the training.
func rateNote(s events.FineTuner, r llm.TrainResult) string {
	which := fmt.Sprintf("the %s steps", events.Count(r.Steps))
	if r.Steps == 1 {
		which = "the only step"
	}
	switch {
	case s.LearningRate == 0 || r.Steps == 0:
		return ""
	case r.HighestRate == 0:
		return fmt.Sprintf("%s had a learning rate of 0, as a warm-up begins: nothing was learned; fine_tuner.warmup_steps = 0 has the model learn, or more steps do", which)
	case r.HighestRate < nearly*s.LearningRate:
		return fmt.Sprintf("fine_tuner.learning_rate = %g was never reached: the highest of %s was %.3g; a shorter warm-up, other fine_tuner.lr_scheduler_kwargs or more steps reach it",
			s.LearningRate, which, r.HighestRate)
	case r.HighestRate > s.LearningRate*(1+1e-9):
		return fmt.Sprintf("fine_tuner.learning_rate = %g is not the highest one: by fine_tuner.lr_scheduler_kwargs it was up to %.3g", s.LearningRate, r.HighestRate)
	}
	return ""
}

// causeOf is the key that a training without a loss comes from, with its value.
func causeOf(err error, s events.FineTuner) string {
	if errors.Is(err, llm.ErrDamaged) {
		return fmt.Sprintf("fine_tuner.base_model_id = %q", s.BaseModelID)
	}
	return fmt.Sprintf("fine_tuner.learning_rate = %g", s.LearningRate)
}

// CheckSchedule returns the error of a schedule whose arguments the built-in engine
// cannot train with.
func CheckSchedule(s events.FineTuner) error { return trainConfig(s).CheckSchedule() }

// sgd is the optimizer that has arguments.
const sgd = "sgd"

func trainConfig(s events.FineTuner) llm.TrainConfig {
	c := llm.TrainConfig{
		Epochs:           s.Epochs,
		BatchSize:        s.DeviceTrainBatchSize,
		EvalBatchSize:    s.DeviceValidationBatchSize,
		GradAccumulation: s.GradAccumulation,
		LearningRate:     s.LearningRate,
		WarmupSteps:      s.WarmupSteps,
		WarmupRatio:      s.WarmupRatio,
		WeightDecay:      s.WeightDecay,
		Scheduler:        s.LRSchedulerType,
		MaxGradNorm:      s.MaxGradNorm,
		Seed:             int64(s.Seed),
		LogSteps:         s.LogSteps,
		LogFirstStep:     s.LogFirstStep,
		SaveSteps:        s.SaveSteps,
		MaxSteps:         s.MaxSteps,
		EvalSteps:        s.EvalSteps,
		Patience:         s.EarlyStoppingPatience,
		KeepBest:         s.LoadBestModelAtEnd,
		Beta1:            s.AdamBeta1,
		Beta2:            s.AdamBeta2,
		Epsilon:          s.AdamEpsilon,

		GradientCheckpointing: s.UseGradientCheckpointing == "true" || s.UseGradientCheckpointing == "unsloth",
		SchedulerArguments:    s.LRSchedulerKwargs.Entries(),
	}
	if slices.Contains(llm.Optimizers(), s.Optimizer) { // a note names another one
		c.Optimizer = s.Optimizer
	}
	if args, err := optimizerargs.Parse(s.OptimArgs); err == nil && c.Optimizer == sgd { // no other one reads any
		c.Momentum, c.Dampening, c.Nesterov = args.Number(optimizerargs.Momentum), args.Number(optimizerargs.Dampening), args.Yes(optimizerargs.Nesterov)
	}
	if s.Packing {
		c.PackTokens = s.MaxSequenceLength
	}
	return c
}

// reportTo returns hooks that report a training to its job. Errors of the
// reports are added to err.
func reportTo(ctx context.Context, job *engine.Job, err *error) llm.Hooks {
	var total int64
	report := func(step int64, points ...events.Point) {
		*err = errors.Join(*err, job.Progress(ctx, step, total, points...))
	}
	return llm.Hooks{
		OnStep: func(i llm.StepInfo) {
			total = i.Total
			report(i.Step,
				events.Point{Key: "loss", Value: i.Loss},
				events.Point{Key: "learning_rate", Value: i.LearningRate},
				events.Point{Key: "grad_norm", Value: i.GradNorm},
				events.Point{Key: "epoch", Value: i.Epoch},
				events.Point{Key: "tokens_per_second", Value: i.TokensPerSecond})
		},
		OnEval: func(step int64, loss float64) {
			report(step, events.Point{Key: "eval_loss", Value: loss})
		},
		OnCheckpoint: func(ctx context.Context, step int64, save func(dir string) error) error {
			return job.WriteCheckpoint(ctx, step, job.Request.Specification.FineTuner.SaveTotalLimit, save)
		},
	}
}

// save writes the trained adapter as PEFT does, or the whole model, with the
// files of the tokenizer.
func save(model *llm.Model, base baseModel, dir string, s events.FineTuner) error {
	if !s.FullFinetuning {
		if err := model.SaveAdapter(dir, base.Name); err != nil {
			return fmt.Errorf("save adapter: %w", err)
		}
		return token.CopyFiles(base.Tokens, dir)
	}
	dtype := s.DType
	if dtype == "" {
		stored, err := llm.StoredType(base.Weights)
		if err != nil {
			return fmt.Errorf("save model: %w", err)
		}
		dtype = stored
	}
	err := model.Save(dir, dtype)
	if large, ok := errors.AsType[*safetensors.RangeError](err); ok {
		return engine.Permanent("out_of_range", fmt.Errorf("fine_tuner.dtype = %q, the type in which the model is stored: weight %s: %w", dtype, large.Tensor, large))
	}
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return token.CopyFiles(base.Tokens, dir)
}
