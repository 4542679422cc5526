package modelserver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelapi"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/inference/answers"
	"github.com/tunebus/tunebus/services/inference/inputs"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
	"github.com/tunebus/tunebus/services/inference/modelserver/openlimit"
)

// Config says which server answers.
type Config struct {
	// Endpoint is the address of the API, such as http://vllm:8000/v1, and Key its key;
	// empty: it needs none.
	Endpoint, Key string
	// Model is the name that the server has for the base model; empty: that of the
	// specification.
	Model string
	// Parallel is how many calls are open at once, at most. Default 64.
	Parallel int
	// Timeout is how long a call may take. Default 10 minutes.
	Timeout time.Duration
	// Share is the folder that adapters are copied to.
	Share Share
	// Folder is a folder of this machine for answers, see [answers.Config].
	Folder string
	// SaveEvery is how often the answers are stored as a checkpoint. Default 30 s.
	SaveEvery time.Duration
	// Environ is the environment of the worker: the values of variables whose names say
	// that they hold secrets are in no answer.
	Environ []string
	// Backoff is how pauses grow; default from 1 s to 1 minute.
	Backoff modelapi.Backoff
}

// Share is a folder that this machine and the server see.
type Share struct {
	// Folder is its path on this machine; empty: there is none.
	Folder string
	// ServerPath is its path on the server; empty: the same.
	ServerPath string
	// Resolved says that the server finds adapters there by their names, without a call.
	Resolved bool
}

// Engine is the engine. It is safe for concurrent use.
type Engine struct{ cfg Config }

// New returns the engine.
func New(cfg Config) Engine {
	cfg.Parallel = cmp.Or(max(cfg.Parallel, 0), 64)
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Minute)
	cfg.Backoff.First = cmp.Or(cfg.Backoff.First, time.Second)
	cfg.Backoff.Longest = cmp.Or(cfg.Backoff.Longest, time.Minute)
	return Engine{cfg}
}

// Run implements [engine.Engine].
func (e Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	s := job.Request.Specification
	res := engine.Result{Notes: spec.EngineNotes(s, events.Inference, spec.OpenAI).Lines()}
	if s.Inferencer.Engine != spec.OpenAI {
		return res, engine.Permanent("wrong_engine", fmt.Errorf("inferencer.engine = %q, and the workers of its queue %q have the engine %q; change inferencer.engine or inferencer.queue",
			s.Inferencer.Engine, job.Request.Queue, spec.OpenAI))
	}
	c := &caller{client: chatapi.NewClient(e.cfg.Endpoint, e.cfg.Key, e.cfg.Parallel, e.cfg.Timeout), limiter: openlimit.New(e.cfg.Parallel), backoff: e.cfg.Backoff}
	defer c.client.Close()
	job.Stage(engine.StageLoad)
	found, err := c.look(ctx)
	if err != nil {
		return res, err
	}
	base, err := e.baseModel(found, s, c.client)
	if err != nil {
		return res, err
	}
	engine.WriteLog(job, "info", fmt.Sprintf("%s is %s; the base model is %q there", c.client.Name, found.name(), c.client.Hide(base.ID)))
	res.Notes = append(res.Notes, found.notes(s.Inferencer)...)
	if key, named := namedModel(s); e.cfg.Model != "" && base.ID != named {
		res.Notes = append(res.Notes, fmt.Sprintf("%s = %q: the model %q of the server at %s answered, which services.inference.served_model of the worker names",
			key, named, c.client.Hide(base.ID), c.client.Name))
	} else if asked := e.askedModel(s); base.ID != asked {
		res.Notes = append(res.Notes, fmt.Sprintf("%q is the model %q of the server at %s", asked, c.client.Hide(base.ID), c.client.Name))
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
	log, err := answers.Open(answers.Config{Job: job, Rows: q.Rows, Folder: e.cfg.Folder, SaveEvery: e.cfg.SaveEvery, Secrets: c.client.Secrets(e.cfg.Environ)})
	if err != nil {
		return res, err
	}
	defer func() { _ = log.Close() }() // every answer was written
	w := &work{job: job, caller: c, server: found, base: base, questions: q, log: log, images: chatapi.NewImageMemory(), started: time.Now(), res: &res}
	if err := w.answerAll(ctx, e.cfg.Share); err != nil {
		res.Notes = append(res.Notes, c.dialect.Told()...)
		return res, log.SaveLast(ctx, err)
	}
	res.Notes = append(res.Notes, c.dialect.Told()...)
	res.Statistics["inference_rows"] = float64(q.Rows)
	res.Statistics["inference_retries"] = float64(c.retries.Load())
	if err := log.Remove(); err != nil {
		engine.WriteLog(job, "info", fmt.Sprintf("the answers of this job are not removed from this machine: %v", err))
	}
	return res, nil
}

// askedModel is the model that a run names, by the name that the settings give it.
func (e Engine) askedModel(s events.Specification) string {
	return cmp.Or(e.cfg.Model, s.Inferencer.ModelID, s.FineTuner.BaseModelID)
}

// namedModel is the model that a run names itself, and the key that does.
func namedModel(s events.Specification) (key, name string) {
	if s.Inferencer.ModelID != "" {
		return "inferencer.model_id", s.Inferencer.ModelID
	}
	return "fine_tuner.base_model_id", s.FineTuner.BaseModelID
}

// baseModel finds the base model of a run at the server.
func (e Engine) baseModel(found server, s events.Specification, at *chatapi.Client) (served, error) {
	base, err := found.find(e.askedModel(s))
	if err == nil {
		return base, nil
	}
	key := "fine_tuner.base_model_id"
	switch {
	case e.cfg.Model != "":
		key = "services.inference.served_model"
	case s.Inferencer.ModelID != "":
		key = "inferencer.model_id"
	}
	return base, engine.Permanent(codeNoModel, fmt.Errorf("%s: the model server at %s: %w; start it with that model, or write the name that it has for it into services.inference.served_model",
		key, at.Name, errors.New(at.Hide(err.Error()))))
}

// notes say what a server does otherwise than the keys of a run ask.
func (s server) notes(i events.Inferencer) (notes []string) {
	if s.kind != ollama {
		return nil
	}
	notes = append(notes, "Ollama has a small context unless its model was made with a larger num_ctx, and cuts longer prompts without a word")
	if i.Temperature > 0 && (i.TopK > 0 || i.MinP > 0) {
		notes = append(notes, "Ollama leaves inferencer.top_k and inferencer.min_p alone, without a word; its model has values of its own")
	}
	if chatapi.Penalises(i) {
		notes = append(notes, "Ollama leaves inferencer.repetition_penalty alone, without a word; its model has a value of its own (PARAMETER repeat_penalty of a Modelfile)")
	}
	return notes
}

// work is the work on a job.
type work struct {
	job       *engine.Job
	caller    *caller
	server    server
	base      served
	questions inputs.Questions
	log       *answers.Log
	images    chatapi.ImageMemory
	started   time.Time
	res       *engine.Result
	counts    counts
}

// answerAll has the tuned model answer all questions, or the base model where nothing
// was tuned; and the base model too, to compare, where the run asks for it.
func (w *work) answerAll(ctx context.Context, share Share) (err error) {
	w.res.Statistics = map[string]float64{}
	tuned := w.job.Request.Inputs.Model
	own := pass{artifact: events.ArtifactPredictions, file: prediction.FileName, model: w.base.ID, adapters: w.server.adapters}
	passes := []pass{own}
	if tuned != nil {
		a, err := w.deploy(ctx, share, *tuned)
		if err != nil {
			return err
		}
		defer a.withdraw(ctx)
		if err := w.prove(ctx, a); err != nil {
			return err
		}
		passes[0].model, passes[0].adapter = a.request(w.base)
		passes[0].reload = a.load
		if w.job.Request.Specification.Inferencer.Baseline {
			own.artifact, own.file = events.ArtifactBaselinePredictions, prediction.BaselineFileName
			passes = append(passes, own)
		}
	}
	w.counts.total = w.questions.Rows * int64(len(passes))
	w.job.Stage(engine.StageGenerate)
	for _, p := range passes {
		artifact, err := w.run(ctx, p)
		w.res.TokensIn, w.res.TokensOut = w.counts.tokensIn, w.counts.tokensOut
		if err != nil {
			return err
		}
		w.res.Artifacts = append(w.res.Artifacts, artifact)
	}
	return nil
}

// fingerprint is all that the answers of a pass depend on beside the rows.
func (w *work) fingerprint(p pass) ([]byte, error) {
	return json.Marshal([]any{w.job.Request.Specification.Inferencer, w.caller.client.Endpoint, p.model, p.adapter})
}
