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
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec"
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
	res := engine.Result{Notes: spec.EngineNotes(job.Request.Specification, events.Inference, spec.Builtin).Lines()}
	folders, err := fetchModels(ctx, job)
	if err != nil {
		return res, err
	}
	job.Stage(engine.StageLoad)
	named := progress.Doing(ctx, "opening the models")
	report, err := checkpoint.Check(pass{base: folders.base, tuned: folders.answering()}.places())
	named()
	res.Notes = append(res.Notes, report.Notes...)
	if err != nil {
		return res, engine.Permanent("bad_model", err)
	}
	job.Stage(engine.StageTokenise)
	q, err := readQuestions(ctx, job)
	if q.set.Key != "" {
		res.Datasets = append(res.Datasets, q.set)
	}
	if err != nil {
		return res, err
	}
	res.Notes = append(res.Notes, q.notes...)
	for _, w := range q.warnings {
		engine.Warn(ctx, job, w)
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
	g := &generation{job: job, saver: saver, rows: q.rows, total: int64(len(q.rows) * len(passes))}
	for _, p := range passes {
		a, err := g.run(ctx, p)
		res.TokensIn, res.TokensOut = g.tokensIn, g.tokensOut
		res.Datasets[0].CutInPrompt = g.cut
		if err != nil {
			return res, err
		}
		res.Artifacts = append(res.Artifacts, a)
	}
	res.Notes = append(res.Notes, g.notes...)
	res.Statistics = map[string]float64{"inference_rows": float64(len(q.rows))}
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
	rows  []row.Row
	total int64 // answers of all passes

	answered            int64
	tokensIn, tokensOut int64
	cut                 int64 // prompts of the first pass that lost their beginning
	unfinished          int64 // answers of a pass that end in their reasoning
	notes               []string
}

// run has the model of a pass answer the questions that the checkpoint has no
// answers to, and stores the answers of the pass.
func (g *generation) run(ctx context.Context, p pass) (_ events.Artifact, err error) {
	g.job.Stage(engine.StageLoad)
	named := progress.Doing(ctx, "opening the model that writes "+p.artifact)
	model, tok, err := p.open()
	named()
	if err != nil {
		return events.Artifact{}, engine.Permanent("bad_model", err)
	}
	g.job.Stage(engine.StageTokenise)
	s := g.job.Request.Specification.Inferencer
	prompts, err := encodePrompts(g.job, tok, g.rows)
	if err != nil {
		return events.Artifact{}, err
	}
	g.tellCuts(ctx, prompts.cut)
	for _, ids := range prompts.ids {
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
		g.countUnfinished(answer)
		if err := out.Write(answer); err != nil {
			return events.Artifact{}, err
		}
	}
	g.job.Stage(engine.StageGenerate)
	// The model asks its context once for each token of a batch. A batch of long
	// answers may take longer than a stage without progress.
	if err := model.Generate(progress.Polled(ctx), prompts.ids, generateConfig(s, tok, saved), g.answer(ctx, tok, prompts.opened, out)); err != nil {
		return events.Artifact{}, g.saver.saveLast(ctx, fmt.Errorf("generate: %w", err))
	}
	if err := out.Flush(); err != nil {
		return events.Artifact{}, err
	}
	g.tellUnfinished(p)
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

// tellCuts warns of prompts that lost their beginning if they are many, and notes
// them if they are few. All passes have nearly the same prompts.
func (g *generation) tellCuts(ctx context.Context, cut int64) {
	if g.cut != 0 || cut == 0 {
		return
	}
	g.cut = cut
	text := fmt.Sprintf("inferencer.testing_data_id: %d of %d prompts lose their beginning: they are longer than inferencer.max_sequence_length = %d tokens",
		cut, len(g.rows), g.job.Request.Specification.Inferencer.MaxSequenceLength)
	if 10*cut > int64(len(g.rows)) {
		engine.Warn(ctx, g.job, text)
	} else {
		g.notes = append(g.notes, text)
	}
}

func (g *generation) countUnfinished(p prediction.Prediction) {
	if p.Answer == "" && p.Reasoning != "" {
		g.unfinished++
	}
}

// tellUnfinished notes the answers of a pass that end in their reasoning.
func (g *generation) tellUnfinished(p pass) {
	if g.unfinished > 0 {
		g.notes = append(g.notes, fmt.Sprintf("%s: %d of %d answers end in their reasoning, so that nothing of them is left to score; raise inferencer.max_new_tokens = %d",
			p.file, g.unfinished, len(g.rows), g.job.Request.Specification.Inferencer.MaxNewTokens))
	}
	g.unfinished = 0
}

// answer returns the function that receives the tokens of each answer. opened are
// the marks of think blocks that the prompts have opened.
func (g *generation) answer(ctx context.Context, tok *token.Tokenizer, opened []string, out *prediction.Writer) func(i int, ids []int32) error {
	started, generated := time.Now(), 0
	return func(i int, ids []int32) error {
		r := g.rows[i]
		g.answered++
		g.tokensOut += int64(len(ids))
		generated += len(ids)
		p := prediction.Prediction{
			Index:         int64(i),
			System:        r.System(),
			Question:      r.Question(),
			NoGroundTruth: len(r.Truths) == 0,
			KeyFact:       r.Fields[keyFact],
			Tokens:        len(ids),
		}
		if len(r.Truths) > 0 {
			p.GroundTruth = r.Truths[0]
		}
		if len(r.Truths) > 1 {
			p.References = r.Truths
		}
		p.Answer, p.Reasoning = prediction.SplitReasoning(opened[i] + tok.DecodeAnswer(ids))
		g.countUnfinished(p)
		speed := events.Point{Key: "tokens_per_second", Value: float64(generated) / time.Since(started).Seconds()}
		if err := errors.Join(out.Write(p), g.job.Progress(ctx, g.answered, g.total, speed)); err != nil {
			return err
		}
		return g.saver.add(ctx, p, g.answered)
	}
}
