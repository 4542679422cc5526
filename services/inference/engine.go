package inference

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// Engine answers with the built-in engine.
type Engine struct {
	// SaveEvery is how often the answers so far are saved, so that a later
	// attempt need not give them again. Default 30 s.
	SaveEvery time.Duration
}

// Run implements [worker.Engine].
func (e Engine) Run(ctx context.Context, job *worker.Job) (worker.Result, error) {
	s := job.Request.Specification
	res := worker.Result{Notes: Notes(s.Inferencer)}
	base, tuned, err := models(ctx, job)
	if err != nil {
		return res, err
	}
	rows, err := questions(ctx, job, &res)
	if err != nil {
		return res, err
	}
	passes := []pass{{file: prediction.FileName, artifact: events.ArtifactPredictions, dir: base, adapter: tuned}}
	if s.Inferencer.Baseline && tuned != "" {
		passes = append(passes, pass{file: prediction.BaselineFileName, artifact: events.ArtifactBaselinePredictions, dir: base})
	}
	saver := newSaver(job, e.SaveEvery)
	defer saver.close()
	progress := progress{total: int64(len(rows) * len(passes))}
	for _, p := range passes {
		a, err := p.run(ctx, job, saver, rows, &progress, &res)
		if err != nil {
			return res, err
		}
		res.Artifacts = append(res.Artifacts, a)
	}
	res.Statistics = map[string]float64{"inference_rows": float64(len(rows))}
	return res, nil
}

// pass is one model answering all questions.
type pass struct {
	file, artifact string
	// dir is the checkpoint, adapter what was trained on top of it: an
	// adapter's folder, a whole model's, or empty.
	dir, adapter string
}

// progress counts the answers of all passes.
type progress struct{ done, total int64 }

func (p pass) run(ctx context.Context, job *worker.Job, saver *saver, rows []dataset.Row, at *progress, res *worker.Result) (_ events.Artifact, err error) {
	s := job.Request.Specification.Inferencer
	model, tok, err := p.open()
	if err != nil {
		return events.Artifact{}, worker.Permanent("bad_model", err)
	}
	prompts := make([][]int32, len(rows))
	for i, row := range rows {
		text, err := tok.Render(messages(row), true)
		if err != nil {
			return events.Artifact{}, worker.Permanent("bad_template", fmt.Errorf("row %d: %w", row.Index, err))
		}
		prompts[i] = tok.Encode(text)
		if n := s.MaxSequenceLength; n > 0 && len(prompts[i]) > n {
			prompts[i] = prompts[i][len(prompts[i])-n:] // the question stands at the end
		}
		res.TokensIn += int64(len(prompts[i]))
	}
	path, err := job.Scratch(p.file)
	if err != nil {
		return events.Artifact{}, err
	}
	f, err := os.Create(path)
	if err != nil {
		return events.Artifact{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := prediction.NewWriter(bufio.NewWriter(f), 0)
	given, err := saver.open(p.file, rows)
	if err != nil {
		return events.Artifact{}, err
	}
	for _, answer := range given {
		res.TokensOut += int64(answer.Tokens)
		at.done++
		if err := out.Write(answer); err != nil {
			return events.Artifact{}, err
		}
	}
	cfg := llm.GenerateConfig{
		MaxNewTokens: s.MaxNewTokens, Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP,
		Seed: int64(s.Seed), EOS: tok.EOS(), BatchSize: s.BatchSize,
		Skip: func(i int) bool {
			_, ok := given[int64(i)]
			return ok
		},
	}
	began, made := time.Now(), 0
	err = model.Generate(ctx, prompts, cfg, func(i int, ids []int32) error {
		row := rows[i]
		res.TokensOut += int64(len(ids))
		made += len(ids)
		at.done++
		answer := prediction.Prediction{
			Index: int64(i), System: row.System, Question: row.Question, GroundTruth: row.Answer,
			KeyFact: row.Fields[keyFact], Answer: tok.Decode(ids, true), Tokens: len(ids),
		}
		speed := events.Point{Key: "tokens_per_second", Value: float64(made) / time.Since(began).Seconds()}
		if err := errors.Join(out.Write(answer), job.Progress(ctx, at.done, at.total, speed)); err != nil {
			return err
		}
		return saver.add(ctx, answer, at.done)
	})
	if err != nil {
		return events.Artifact{}, saver.last(ctx, fmt.Errorf("generate: %w", err))
	}
	if err := out.Flush(); err != nil {
		return events.Artifact{}, err
	}
	return job.PutFile(ctx, p.artifact, prediction.MediaType, path)
}

func (p pass) open() (*llm.Model, *token.Tokenizer, error) {
	dir := p.dir
	if p.adapter != "" && !isAdapter(p.adapter) {
		dir = p.adapter
	}
	model, err := llm.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	if p.adapter != "" && isAdapter(p.adapter) {
		if err := model.LoadAdapter(p.adapter); err != nil {
			return nil, nil, err
		}
	}
	tok, err := token.Open(dir)
	return model, tok, err
}

func isAdapter(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "adapter_config.json"))
	return err == nil
}

// models fetches the base model and what fine-tuning made of it; the latter
// is empty where nothing was trained.
func models(ctx context.Context, job *worker.Job) (base, tuned string, err error) {
	s := job.Request.Specification
	if ref := job.Request.Inputs.Model; ref != nil {
		if tuned, err = job.FetchDir(ctx, *ref, "tuned"); err != nil {
			return "", "", fmt.Errorf("fetch the tuned model: %w", err)
		}
		if !isAdapter(tuned) && !s.Inferencer.Baseline {
			return tuned, "", nil // a whole model needs no base
		}
	}
	key, id := "fine_tuner.base_model_id", s.FineTuner.BaseModelID
	if s.Inferencer.ModelID != "" {
		key, id = "inferencer.model_id", s.Inferencer.ModelID
	}
	base, err = job.Model(ctx, key, id)
	return base, tuned, err
}

const keyFact = "key_fact"

// questions reads the test set, and notes which it is.
func questions(ctx context.Context, job *worker.Job, res *worker.Result) ([]dataset.Row, error) {
	const key = "inferencer.testing_data_id"
	s := job.Request.Specification.Inferencer
	path, err := job.Dataset(ctx, key, s.TestingDataID)
	if err != nil {
		return nil, err
	}
	set, err := dataset.Open(ctx, dataset.Source{Path: path, Split: dataset.Test}, dataset.Columns{
		Question: s.QuestionColumn, Answer: s.GroundTruthColumn,
		System: s.SystemPromptColumn, SystemOverride: s.SystemPromptOverrideText, Extra: []string{keyFact},
	})
	if err != nil {
		return nil, worker.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
	}
	res.Datasets = append(res.Datasets, set.Info().Event(key))
	var rows []dataset.Row
	for row, err := range set.Rows(ctx) {
		if err != nil {
			return nil, worker.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, worker.Permanent("empty_dataset", fmt.Errorf("%s: %w", key, dataset.ErrEmpty))
	}
	return rows, nil
}

func messages(row dataset.Row) []token.Message {
	var m []token.Message
	if row.System != "" {
		m = append(m, token.Message{Role: "system", Content: row.System})
	}
	return append(m, token.Message{Role: "user", Content: row.Question})
}
