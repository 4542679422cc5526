package trainer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/jobkeys"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/inputs"
	"github.com/tunebus/tunebus/services/finetune/trainer/verify"
)

// Config says which command trains.
type Config struct {
	// Name is the name of the engine, which specifications choose.
	Name string
	// Command is the command without the arguments of the protocol.
	Command []string
	// Environ is the environment of the worker, and Environment are further variables
	// that the trainer gets, as NAME or NAME=value.
	Environ, Environment []string
	// Devices are the values of CUDA_VISIBLE_DEVICES, one for each slot; nil: that of
	// the worker.
	Devices []string
	// WandbKey is the key for Weights & Biases; empty: there is none.
	WandbKey string
	// Timing shortens limits in tests.
	Timing child.Timing
}

// Engine is the engine. It is safe for concurrent use by as many jobs as there are
// devices.
type Engine struct {
	cfg     Config
	devices *deviceSlots // nil: the worker's own
}

// New returns the engine.
func New(cfg Config) *Engine {
	return &Engine{cfg: cfg, devices: newDeviceSlots(cfg.Devices)}
}

// Run implements [engine.Engine].
func (e *Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	res := engine.Result{Notes: spec.EngineNotes(job.Request.Specification, events.Finetune, e.cfg.Name).Lines()}
	if asked := job.Request.Specification.FineTuner.Engine; asked != e.cfg.Name {
		return res, engine.Permanent("wrong_engine", fmt.Errorf("fine_tuner.engine = %q, and the workers of its queue %q have the engine %q; change fine_tuner.engine or fine_tuner.queue",
			asked, job.Request.Queue, e.cfg.Name))
	}
	devices, free, err := e.devices.take(ctx, job.Request.Specification.FineTuner.Devices)
	if err != nil {
		return res, err
	}
	defer free()
	base, err := inputs.FetchBase(ctx, job)
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, base.AdapterNotes(job.Request.Specification)...)
	folders, err := makeFolders(job)
	if err != nil {
		return res, err
	}
	rows, err := prepareRows(ctx, job, base, folders.root)
	res.Datasets = rows.datasets
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, rows.notes...)
	if err := checkMarker(job, e.cfg.Name); err != nil {
		if err := job.StartOver(ctx, err); err != nil {
			return res, err
		}
	}
	file := jobFile(job, base, rows, folders)
	file.Devices = devices
	for _, path := range []*string{&file.Model.Folder, &file.Model.Tokenizer, file.Model.Adapter} {
		if path != nil {
			if *path, err = filepath.Abs(*path); err != nil {
				return res, err
			}
		}
	}
	s, err := e.train(ctx, job, file, base, &res)
	if err == nil && s.foreign != nil && ctx.Err() == nil { // it cannot use the checkpoint
		if err := job.StartOver(ctx, s.foreign); err != nil {
			return res, err
		}
		if err := folders.empty(); err != nil {
			return res, err
		}
		file.Resume = nil
		s, err = e.train(ctx, job, file, base, &res)
	}
	if err != nil {
		return res, err
	}
	return res, s.conclude(ctx, base, &res)
}

// train has the command train until all of its processes have ended.
func (e *Engine) train(ctx context.Context, job *engine.Job, file child.Job, base inputs.Base, res *engine.Result) (*session, error) {
	s := newSession(e.cfg.Name, job, file, res)
	var err error
	s.base = base
	if s.before, err = verify.LookAtBase(base, scratch(file)); err != nil {
		return nil, err
	}
	more, set := e.reporting(job.Request.Specification.FineTuner)
	job.Stage(engine.StageLoad)
	trainer, err := child.Start(child.Config{
		Command: e.cfg.Command,
		Job:     file,
		Folder:  filepath.Dir(file.Output.Model),
		Environ: e.cfg.Environ,
		More:    slices.Concat(more, e.cfg.Environment),
		Set:     set,
		Secrets: []string{e.cfg.WandbKey},
		Output:  s.output,
		Log:     s.say,
		Timing:  e.cfg.Timing,
	})
	if err != nil {
		return nil, &engine.JobError{Code: "no_trainer", Err: fmt.Errorf("services.finetune.command: %w", err)}
	}
	s.trainer = trainer
	s.follow(ctx)
	return s, nil
}

// folders are those that a trainer works in.
type folders struct{ root, model, checkpoints, artifacts string }

// makeFolders makes them in the scratch folder of the job.
func makeFolders(job *engine.Job) (folders, error) {
	root, err := job.Scratch("trainer")
	if err != nil {
		return folders{}, err
	}
	f := folders{root: root, model: filepath.Join(root, "model"), checkpoints: filepath.Join(root, "checkpoints"), artifacts: filepath.Join(root, "artifacts")}
	return f, errors.Join(os.Mkdir(root, 0o700), f.empty())
}

// empty removes what a trainer wrote.
func (f folders) empty() error {
	for _, dir := range []string{f.model, f.checkpoints, f.artifacts} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return errors.Join(os.Mkdir(f.checkpoints, 0o700), os.Mkdir(f.artifacts, 0o700))
}

// jobFile returns the content of the job file.
func jobFile(job *engine.Job, base inputs.Base, rows preparedRows, f folders) child.Job {
	file := jobkeys.Training(job.Request.Specification.FineTuner)
	file.Run, file.Attempt = job.Request.RunID, job.Attempt
	file.Model = child.Model{Folder: base.Weights, Tokenizer: base.Tokens, Name: base.Name}
	file.Training, file.Validation = rows.training, rows.validation
	file.Output = child.Output{Model: f.model, Checkpoints: f.checkpoints, Artifacts: f.artifacts}
	if base.Adapter != "" {
		file.Model.Adapter = &base.Adapter
	}
	if job.Resume.Step > 0 {
		file.Resume = &child.Resume{Step: job.Resume.Step, Folder: job.Resume.Dir}
	}
	return file
}

// scratch is the scratch folder of a job.
func scratch(file child.Job) string { return filepath.Dir(filepath.Dir(file.Output.Model)) }
