package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// Engine trains with the built-in engine.
type Engine struct{}

// Run implements [engine.Engine].
func (Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	s := job.Request.Specification.FineTuner
	res := engine.Result{Notes: Notes(s)}
	base, err := job.Model(ctx, "fine_tuner.base_model_id", s.BaseModelID)
	if err != nil {
		return res, err
	}
	data, err := prepare(ctx, job, base)
	res.Datasets = data.read
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, data.notes...)
	model, err := openModel(base, s)
	if err != nil {
		return res, err
	}
	trained, err := train(ctx, job, model, data)
	if err != nil {
		return res, err
	}
	dir, err := job.Scratch("model")
	if err != nil {
		return res, err
	}
	if err := save(model, base, dir, s); err != nil {
		return res, err
	}
	a, err := job.PutDir(ctx, events.ArtifactModel, dir)
	if err != nil {
		return res, err
	}
	res.Artifacts = []events.Artifact{a}
	res.TokensIn = trained.Tokens
	res.Statistics = map[string]float64{
		"final_training_loss":  trained.FinalLoss,
		"total_epochs":         float64(trained.Epochs),
		"total_training_steps": float64(trained.Steps),
		"trainable_parameters": float64(model.TrainableParameters()),
		"training_rows":        float64(len(data.training)),
	}
	if trained.FinalEvalLoss != 0 { // a loss of nothing says nothing
		res.Statistics["final_eval_loss"] = trained.FinalEvalLoss
	}
	return res, nil
}

// openModel reads the checkpoint and, unless all weights are to learn, adds
// the adapter.
func openModel(dir string, s events.FineTuner) (*llm.Model, error) {
	model, err := llm.Open(dir)
	if err != nil {
		return nil, engine.Permanent("bad_model", err)
	}
	if s.FullFinetuning {
		return model, nil
	}
	err = model.AttachLoRA(llm.LoRAConfig{
		Rank: s.Rank, Alpha: s.LoRAAlpha, Dropout: s.LoRADropout,
		TargetModules: s.TargetModules, RSLoRA: s.UseRSLoRA, Seed: int64(s.Seed),
	})
	if err != nil {
		return nil, engine.Permanent("bad_adapter", err)
	}
	return model, nil
}

func train(ctx context.Context, job *engine.Job, model *llm.Model, data data) (llm.TrainResult, error) {
	s := job.Request.Specification.FineTuner
	cfg := llm.TrainConfig{
		Epochs: s.Epochs, BatchSize: s.DeviceTrainBatchSize, EvalBatchSize: s.DeviceValidationBatchSize,
		GradAccumulation: s.GradAccumulation, LearningRate: s.LearningRate, WarmupSteps: s.WarmupSteps,
		WeightDecay: s.WeightDecay, Scheduler: s.LRSchedulerType, MaxGradNorm: s.MaxGradNorm,
		Seed: int64(s.Seed), LogSteps: s.LogSteps, LogFirstStep: s.LogFirstStep, SaveSteps: s.SaveSteps,
	}
	var failed error
	report := func(step, total int64, points ...events.Point) {
		failed = errors.Join(failed, job.Progress(ctx, step, total, points...))
	}
	var total int64
	hooks := llm.Hooks{
		OnStep: func(i llm.StepInfo) {
			total = i.Total
			report(i.Step, total,
				events.Point{Key: "loss", Value: i.Loss}, events.Point{Key: "learning_rate", Value: i.LearningRate},
				events.Point{Key: "grad_norm", Value: i.GradNorm}, events.Point{Key: "epoch", Value: i.Epoch},
				events.Point{Key: "tokens_per_second", Value: i.TokensPerSecond})
		},
		OnEval: func(step int64, loss float64) {
			report(step, total, events.Point{Key: "eval_loss", Value: loss})
		},
		OnCheckpoint: func(ctx context.Context, step int64, save func(dir string) error) error {
			ctx, done, ok := job.Saving(ctx)
			defer done()
			if !ok {
				return nil
			}
			dir, err := job.Scratch(fmt.Sprintf("checkpoint-%d", step))
			if err != nil {
				return err
			}
			if err := os.Mkdir(dir, 0o750); err != nil {
				return err
			}
			if err := save(dir); err != nil {
				return err
			}
			if err := job.Checkpoint(ctx, step, dir, s.SaveTotalLimit); err != nil {
				return err
			}
			return os.RemoveAll(dir)
		},
	}
	res, err := model.Train(ctx, data.training, data.validation, cfg, hooks, job.Resume.Dir)
	if errors.Is(err, llm.ErrForeign) { // such as where a file of the data roots has other rows by now
		if err := job.StartOver(ctx, err); err != nil {
			return res, err
		}
		res, err = model.Train(ctx, data.training, data.validation, cfg, hooks, "")
	}
	switch { // the same rows and the same seed come to the same
	case errors.Is(err, llm.ErrDiverged):
		err = engine.Permanent("diverged", err)
	case errors.Is(err, llm.ErrNothing):
		err = engine.Permanent("nothing_to_learn", err)
	}
	return res, errors.Join(err, failed)
}

// save writes what was trained: the adapter as PEFT does, or the whole model
// with the files that belong to it.
func save(model *llm.Model, base, dir string, s events.FineTuner) error {
	if !s.FullFinetuning {
		if err := model.SaveAdapter(dir, s.BaseModelID); err != nil {
			return fmt.Errorf("save adapter: %w", err)
		}
		return token.CopyFiles(base, dir)
	}
	dtype := s.DType
	if dtype == "" {
		dtype = "bfloat16"
	}
	if err := model.Save(dir, dtype); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return token.CopyFiles(base, dir)
}
