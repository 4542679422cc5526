package generator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/inference/answers"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

// logName is the name of the log among the artifacts.
const logName = "generator.log"

// Config says which command answers.
type Config struct {
	// Command is the command without the arguments of the protocol.
	Command []string
	// Environ is the environment of the worker, and Environment are further variables
	// that the command gets, as NAME or NAME=value.
	Environ, Environment []string
	// Devices are the values of CUDA_VISIBLE_DEVICES, one for each slot; nil: that of
	// the worker.
	Devices []string
	// Folder is a folder of this machine for answers, see [answers.Config].
	Folder string
	// SaveEvery is how often the answers are stored as a checkpoint. Default 30 s.
	SaveEvery time.Duration
	// Timing shortens limits in tests.
	Timing child.Timing
}

// Engine is the engine. It is safe for concurrent use by as many jobs as there are
// devices.
type Engine struct {
	cfg     Config
	devices chan string // free ones; nil: the worker's own
}

// New returns the engine.
func New(cfg Config) *Engine {
	e := &Engine{cfg: cfg}
	if len(cfg.Devices) > 0 {
		e.devices = make(chan string, len(cfg.Devices))
		for _, d := range cfg.Devices {
			e.devices <- d
		}
	}
	return e
}

// Run implements [engine.Engine].
func (e *Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	s := job.Request.Specification
	res := engine.Result{Notes: spec.EngineNotes(s, events.Inference, spec.Transformers).Lines()}
	if s.Inferencer.Engine != spec.Transformers {
		return res, engine.Permanent("wrong_engine", fmt.Errorf("inferencer.engine = %q, and the workers of its queue %q have the engine %q; change inferencer.engine or inferencer.queue",
			s.Inferencer.Engine, job.Request.Queue, spec.Transformers))
	}
	devices := ""
	if e.devices != nil {
		select {
		case devices = <-e.devices:
			defer func() { e.devices <- devices }()
		case <-ctx.Done(): // work that hangs has them
			return res, context.Cause(ctx)
		}
	}
	folders, err := inputs.FetchModels(ctx, job)
	if err != nil {
		return res, err
	}
	job.Stage(engine.StageTokenise)
	q, err := inputs.OpenQuestions(ctx, job)
	if q.Set.Key != "" {
		res.Datasets = append(res.Datasets, q.Set)
	}
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, q.Notes...)
	for _, w := range q.Warnings {
		engine.Warn(ctx, job, w)
	}
	log, err := answers.Open(answers.Config{Job: job, Rows: q.Rows, Folder: e.cfg.Folder, SaveEvery: e.cfg.SaveEvery, Secrets: redaction.New(redaction.OfVariables(e.cfg.Environ)...)})
	if err != nil {
		return res, err
	}
	defer func() { _ = log.Close() }() // every answer was written
	w := &work{engine: e, job: job, questions: q, answers: log, devices: devices, res: &res}
	if err := w.all(ctx, folders); err != nil {
		return res, log.SaveLast(ctx, err)
	}
	if err := log.Remove(); err != nil {
		engine.WriteLog(job, "info", fmt.Sprintf("the answers of this job are not removed from this machine: %v", err))
	}
	res.Statistics = map[string]float64{"inference_rows": float64(q.Rows)}
	return res, nil
}

// pass is one model that answers all questions.
type pass struct {
	inputs.Places

	file, artifact string
}

// work is the work on a job.
type work struct {
	engine    *Engine
	job       *engine.Job
	questions inputs.Questions
	answers   *answers.Log
	devices   string
	res       *engine.Result
	log       child.Log

	done, total int64 // answers of all passes
}

// all has all models of the job answer.
func (w *work) all(ctx context.Context, folders inputs.Models) error {
	passes := []pass{{file: prediction.FileName, artifact: events.ArtifactPredictions, Places: inputs.Places{Base: folders.Base, Tuned: folders.Answering()}}}
	if w.job.Request.Specification.Inferencer.Baseline && folders.Tuned != "" {
		passes = append(passes, pass{
			file: prediction.BaselineFileName, artifact: events.ArtifactBaselinePredictions,
			Places: inputs.Places{Base: folders.Base, Tuned: folders.BaseAdapter},
		})
	}
	w.total = w.questions.Rows * int64(len(passes))
	for _, p := range passes {
		a, err := w.run(ctx, p)
		if err != nil {
			return err
		}
		w.res.Artifacts = append(w.res.Artifacts, a)
	}
	return w.storeLog(ctx)
}

// run has the model of a pass answer the questions that have no answer yet, and stores
// the answers.
func (w *work) run(ctx context.Context, p pass) (events.Artifact, error) {
	w.job.Stage(engine.StageTokenise)
	tok, err := token.Open(p.Tokens())
	if err != nil {
		return events.Artifact{}, engine.Permanent("bad_model", err)
	}
	root, err := w.job.Scratch("generator-" + p.artifact)
	if err == nil {
		err = os.Mkdir(root, 0o700)
	}
	if err != nil {
		return events.Artifact{}, err
	}
	prompts, err := w.writePrompts(ctx, p, tok, root)
	if err != nil {
		return events.Artifact{}, err
	}
	defer prompts.close()
	if prompts.open > 0 {
		s := &session{work: w, pass: p, tok: tok, prompts: prompts, path: filepath.Join(root, "answers.jsonl")}
		if err := s.run(ctx, root); err != nil {
			return events.Artifact{}, err
		}
	}
	if err := w.tellEnds(ctx, p, prompts.ends); err != nil {
		return events.Artifact{}, err
	}
	return w.store(ctx, p)
}

// store writes the answers of a pass in the order of the rows, and stores them.
func (w *work) store(ctx context.Context, p pass) (events.Artifact, error) {
	path, err := w.job.Scratch(p.file)
	if err != nil {
		return events.Artifact{}, err
	}
	f, err := os.Create(path)
	if err != nil {
		return events.Artifact{}, err
	}
	err = errors.Join(w.answers.Write(p.artifact, prediction.NewWriter(f, 0)), f.Close())
	if err != nil {
		return events.Artifact{}, &engine.JobError{Code: child.Internal, Err: fmt.Errorf("the command says that it is done: %w", err)}
	}
	w.answers.WarnOfHidden(ctx, p.artifact, p.file)
	return w.job.PutFile(ctx, p.artifact, prediction.MediaType, path)
}

// storeLog stores what the command wrote to stdout and stderr.
func (w *work) storeLog(ctx context.Context) error {
	path, err := w.job.Scratch(logName)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = w.log.WriteTo(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	a, err := w.job.PutFile(ctx, logName, "text/plain", path)
	if err == nil {
		w.res.Artifacts = append(w.res.Artifacts, a)
	}
	return err
}
