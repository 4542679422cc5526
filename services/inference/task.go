package inference

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

// task is the work of a pass: a model that answers the rows, window by window.
type task struct {
	*generation

	model     *llm.Model
	tok       *token.Tokenizer
	saved     saved
	out       *prediction.Writer
	name      string // of the model, as the person calls it
	started   time.Time
	generated int // tokens
}

// answer has the model answer the questions of a window that have no saved answer.
func (t *task) answer(ctx context.Context, w window) error {
	known := make([]bool, len(w.prompts))
	missing := false
	for i, q := range w.prompts {
		p, ok, err := t.saved.answer(w.first+int64(i), q.Row.Question())
		if err != nil {
			return err
		}
		if known[i] = ok; !ok {
			missing = true
			continue
		}
		t.answered++
		t.tokensOut += int64(p.Tokens)
		t.countUnfinished(p)
		if err := t.out.Write(p); err != nil {
			return err
		}
	}
	if !missing {
		t.job.Advance(len(w.prompts))
		return nil
	}
	ids := make([][]int32, len(w.prompts))
	for i, q := range w.prompts {
		ids[i] = q.IDs
	}
	// The model asks its context once for each token of a batch. A batch of long
	// answers may take longer than a stage without progress.
	err := t.model.Generate(progress.Polled(ctx), ids, t.config(w, known), func(i int, ids []int32) error { return t.add(ctx, w, i, ids) })
	if _, foreign := errors.AsType[*llm.TokenError](err); foreign || errors.Is(err, llm.ErrNoNumbers) {
		return engine.Permanent("bad_model", fmt.Errorf("%s: %w", t.name, err))
	}
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}

// config skips the rows of a window that have an answer already.
func (t *task) config(w window, known []bool) llm.GenerateConfig {
	s := t.job.Request.Specification.Inferencer
	return llm.GenerateConfig{
		MaxNewTokens: s.MaxNewTokens,
		Temperature:  s.Temperature,
		TopK:         s.TopK,
		TopP:         s.TopP,
		MinP:         s.MinP,
		Seed:         int64(s.Seed),
		First:        int(w.first),
		EOS:          t.tok.EOS(),
		BatchSize:    s.BatchSize,
		Skip:         func(i int) bool { return known[i] },
	}
}

// add records the answer to a row of a window.
func (t *task) add(ctx context.Context, w window, i int, ids []int32) error {
	t.answered++
	t.tokensOut += int64(len(ids))
	t.generated += len(ids)
	q := w.prompts[i]
	p := inputs.Answered(q.Row, w.first+int64(i), q.Opened+t.tok.DecodeAnswer(ids))
	p.Tokens = len(ids)
	t.countUnfinished(p)
	speed := events.Point{Key: "tokens_per_second", Value: float64(t.generated) / time.Since(t.started).Seconds()}
	if err := errors.Join(t.out.Write(p), t.job.Progress(ctx, t.answered, t.total, speed)); err != nil {
		return err
	}
	return t.saver.add(ctx, p)
}
