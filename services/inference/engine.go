package inference

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Engine is the built-in engine: it generates on the CPU, in pure Go.
type Engine struct {
	// SaveEvery is how often the answers so far are saved, so that a later
	// attempt need not generate them again. Default 30 s.
	SaveEvery time.Duration
}

// Run implements [engine.Engine].
func (e Engine) Run(ctx context.Context, job *engine.Job) (engine.Result, error) {
	s := job.Request.Specification.Inferencer
	res := engine.Result{Notes: Notes(s)}
	folders, err := fetchModels(ctx, job)
	if err != nil {
		return res, err
	}
	report, err := checkpoint.Check(pass{base: folders.base, tuned: folders.answering()}.places())
	res.Notes = append(res.Notes, report.Notes...)
	if err != nil {
		return res, engine.Permanent("bad_model", err)
	}
	job.Stage(engine.StageTokenise)
	rows, set, err := readQuestions(ctx, job)
	if set.Key != "" {
		res.Datasets = append(res.Datasets, set)
	}
	if err != nil {
		return res, err
	}
	passes := []pass{{
		file:     prediction.FileName,
		artifact: events.ArtifactPredictions,
		base:     folders.base,
		tuned:    folders.answering(),
	}}
	if s.Baseline && folders.tuned != "" {
		passes = append(passes, pass{
			file:     prediction.BaselineFileName,
			artifact: events.ArtifactBaselinePredictions,
			base:     folders.base,
			tuned:    folders.baseAdapter,
		})
	}
	saver := newSaver(job, e.SaveEvery)
	defer saver.close()
	g := &generation{job: job, saver: saver, rows: rows, total: int64(len(rows) * len(passes))}
	for _, p := range passes {
		a, err := g.run(ctx, p)
		res.TokensIn, res.TokensOut = g.tokensIn, g.tokensOut
		if err != nil {
			return res, err
		}
		res.Artifacts = append(res.Artifacts, a)
	}
	res.Statistics = map[string]float64{"inference_rows": float64(len(rows))}
	return res, nil
}

// pass is one model that answers all questions.
type pass struct {
	file, artifact string
	// base is the folder of the base model. tuned is the folder of an adapter or
	// of a whole model that takes its place; it may be empty.
	base, tuned string
}

// weights is the folder of the whole model.
func (p pass) weights() string {
	if p.tuned != "" && !isAdapter(p.tuned) {
		return p.tuned
	}
	return p.base
}

// tokens is the folder of the tokenizer: that of the tuned model if it has one.
func (p pass) tokens() string {
	if _, err := os.Stat(filepath.Join(p.tuned, "tokenizer.json")); p.tuned != "" && err == nil {
		return p.tuned
	}
	return p.base
}

// places are the folders of the weights and of the tokenizer.
func (p pass) places() (weights, tokens string) { return p.weights(), p.tokens() }

// open reads the model and its tokenizer.
func (p pass) open() (*llm.Model, *token.Tokenizer, error) {
	model, err := llm.Open(p.weights())
	if err != nil {
		return nil, nil, err
	}
	if p.tuned != "" && isAdapter(p.tuned) {
		if err := model.LoadAdapter(p.tuned); err != nil {
			return nil, nil, err
		}
	}
	tok, err := token.Open(p.tokens())
	return model, tok, err
}

// generation generates the answers of all passes of a job.
type generation struct {
	job   *engine.Job
	saver *saver
	rows  []dataset.Row
	total int64 // answers of all passes

	answered            int64
	tokensIn, tokensOut int64
}

// run has the model of a pass answer the questions that the checkpoint has no
// answers to, and stores the answers of the pass.
func (g *generation) run(ctx context.Context, p pass) (_ events.Artifact, err error) {
	g.job.Stage(engine.StageLoad)
	model, tok, err := p.open()
	if err != nil {
		return events.Artifact{}, engine.Permanent("bad_model", err)
	}
	g.job.Stage(engine.StageTokenise)
	s := g.job.Request.Specification.Inferencer
	prompts, err := encodePrompts(g.job, tok, g.rows, s.MaxSequenceLength)
	if err != nil {
		return events.Artifact{}, err
	}
	for _, ids := range prompts {
		g.tokensIn += int64(len(ids))
	}
	path, err := g.job.Scratch(p.file)
	if err != nil {
		return events.Artifact{}, err
	}
	f, err := os.Create(path)
	if err != nil {
		return events.Artifact{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := prediction.NewWriter(f, 0)
	saved, err := g.saver.open(p.file, g.rows)
	if err != nil {
		return events.Artifact{}, err
	}
	for _, answer := range saved {
		g.answered++
		g.tokensOut += int64(answer.Tokens)
		if err := out.Write(answer); err != nil {
			return events.Artifact{}, err
		}
	}
	g.job.Stage(engine.StageGenerate)
	// The model asks its context once for each token of a batch. A batch of long
	// answers may take longer than a stage without progress.
	if err := model.Generate(progress.Polled(ctx), prompts, generateConfig(s, tok, saved), g.answer(ctx, tok, out)); err != nil {
		return events.Artifact{}, g.saver.saveLast(ctx, fmt.Errorf("generate: %w", err))
	}
	if err := out.Flush(); err != nil {
		return events.Artifact{}, err
	}
	return g.job.PutFile(ctx, p.artifact, prediction.MediaType, path)
}

// generateConfig skips the rows that have an answer already.
func generateConfig(s events.Inferencer, tok *token.Tokenizer, answered map[int64]prediction.Prediction) llm.GenerateConfig {
	return llm.GenerateConfig{
		MaxNewTokens: s.MaxNewTokens,
		Temperature:  s.Temperature,
		TopK:         s.TopK,
		TopP:         s.TopP,
		MinP:         s.MinP,
		Seed:         int64(s.Seed),
		EOS:          tok.EOS(),
		BatchSize:    s.BatchSize,
		Skip: func(i int) bool {
			_, ok := answered[int64(i)]
			return ok
		},
	}
}

// answer returns the function that receives the tokens of each answer.
func (g *generation) answer(ctx context.Context, tok *token.Tokenizer, out *prediction.Writer) func(i int, ids []int32) error {
	started, generated := time.Now(), 0
	return func(i int, ids []int32) error {
		row := g.rows[i]
		g.answered++
		g.tokensOut += int64(len(ids))
		generated += len(ids)
		p := prediction.Prediction{
			Index:       int64(i),
			System:      row.System,
			Question:    row.Question,
			GroundTruth: row.Answer,
			KeyFact:     row.Fields[keyFact],
			Answer:      tok.Decode(ids, true),
			Tokens:      len(ids),
		}
		speed := events.Point{Key: "tokens_per_second", Value: float64(generated) / time.Since(started).Seconds()}
		if err := errors.Join(out.Write(p), g.job.Progress(ctx, g.answered, g.total, speed)); err != nil {
			return err
		}
		return g.saver.add(ctx, p, g.answered)
	}
}
