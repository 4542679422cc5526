package inference

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/sampling"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/services/inference/fitting"
	"github.com/tunebus/tunebus/services/inference/inputs"
)

// windowRows is how far the newest row may be ahead of the oldest that has no answer yet:
// the answers between them wait in memory.
const windowRows = 1024

// task is the work of a pass: rows flow through a batch of its model.
type task struct {
	*work

	tok       *token.Tokenizer
	batch     *generation.Batch
	saved     saved
	out       *prediction.Writer
	name      string // of the model, as the person calls it
	started   time.Time
	generated int // tokens

	answering []int64 // the rows whose answers are awaited, in order
	failed    error   // why the task ends
}

// cacheMemory is how much memory the keys and values of rows take at most, where one row
// does not need more.
const cacheMemory = 4 << 30

// newBatch makes the batch that answers: it has room for as many of the longest rows as
// are answered at once, where memory allows. The error says that there is none for one row.
func (g *work) newBatch(model *llm.Model, tok *token.Tokenizer) (*generation.Batch, error) {
	s := g.job.Request.Specification.Inferencer
	row := g.longest + s.MaxNewTokens + generation.BlockTokens
	left, known := fitting.LeftOn(g.host)
	if known && left.Tokens(model.Config()) < row {
		return nil, engine.Permanent(notEnoughMemory, fmt.Errorf("the keys and values of the longest row, %d tokens with its answer, need %s, and %s has %s left for them; "+
			"lower inferencer.max_sequence_length or max_new_tokens, or answer where there is more memory",
			g.longest+s.MaxNewTokens, hostmemory.Size(llm.CacheBytes(model.Config(), row)), left.Of, hostmemory.Size(left.Bytes)))
	}
	if !known || left.Bytes > cacheMemory {
		left.Bytes = cacheMemory
	}
	cfg := generation.Config{MaxSequences: max(1, s.BatchSize)}
	cfg.CacheTokens = cfg.MaxSequences * row
	if most := max(row, left.Tokens(model.Config())); cfg.CacheTokens > most {
		g.notes = append(g.notes, fmt.Sprintf("inferencer.batch_size = %d: so many of the longest rows, %d tokens with their answers, would need %s for keys and values; "+
			"as many rows are answered at once as fit into %s", s.BatchSize, g.longest+s.MaxNewTokens,
			hostmemory.Size(llm.CacheBytes(model.Config(), cfg.CacheTokens)), hostmemory.Size(llm.CacheBytes(model.Config(), most))))
		cfg.CacheTokens = most
	}
	if len(s.Stop) > 0 {
		cfg.Decode = tok.DecodeAnswer
	}
	return llm.NewBatch(model, cfg), nil
}

// run answers all rows that have no saved answer.
func (t *task) run(ctx context.Context, prompts iter.Seq2[inputs.Prompt, error]) error {
	// The batch asks its context once for each step. A batch of long answers may take
	// longer than a stage without progress.
	polled := progress.Polled(ctx)
	rows, window := 2*t.job.Request.Specification.Inferencer.BatchSize, int64(cmp.Or(t.window, windowRows))
	index := int64(0)
	for p, err := range prompts {
		if err != nil {
			return err
		}
		for len(t.answering) > 0 && (len(t.answering) >= rows || index-t.answering[0] >= window) {
			if err := t.step(polled); err != nil {
				return err
			}
		}
		if err := t.begin(ctx, index, p); err != nil {
			return err
		}
		index++
	}
	for len(t.answering) > 0 {
		if err := t.step(polled); err != nil {
			return err
		}
	}
	return nil
}

// step has the batch compute the next tokens.
func (t *task) step(ctx context.Context) error {
	_, err := t.batch.Step(ctx)
	return cmp.Or(t.failed, err)
}

// begin has a row answered, or takes its saved answer.
func (t *task) begin(ctx context.Context, index int64, q inputs.Prompt) error {
	p, ok, err := t.saved.answer(index, q.Row.Question())
	if err != nil {
		return err
	}
	if ok {
		t.answered++
		t.tokensOut += int64(p.Tokens)
		t.count(p)
		t.job.Advance(1)
		return t.out.Write(p)
	}
	s := t.job.Request.Specification.Inferencer
	_, err = t.batch.Add(generation.Prompt{
		IDs:          q.IDs,
		Sampling:     sampling.Config{Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepetitionPenalty: s.RepetitionPenalty, Seed: uint64(s.Seed), Stream: uint64(index)},
		MaxNewTokens: s.MaxNewTokens,
		EOS:          t.tok.EOS(),
		Stop:         s.Stop,
		OnDone: func(a generation.Answer, err error) {
			if t.failed == nil {
				t.failed = t.done(ctx, index, q, a, err)
			}
		},
	})
	t.answering = append(t.answering, index)
	return t.because(err)
}

// done records the answer to a row.
func (t *task) done(ctx context.Context, index int64, q inputs.Prompt, a generation.Answer, err error) error {
	if err != nil {
		return t.because(err)
	}
	at := slices.Index(t.answering, index)
	t.answering = slices.Delete(t.answering, at, at+1)
	text := a.Text
	if len(t.job.Request.Specification.Inferencer.Stop) == 0 {
		text = t.tok.DecodeAnswer(a.IDs)
	}
	t.answered++
	t.tokensOut += int64(len(a.IDs))
	t.generated += len(a.IDs)
	p := inputs.Answered(q.Row, index, q.Opened+text)
	p.Tokens, p.PromptTokens, p.FinishReason = len(a.IDs), len(q.IDs), string(a.Finish)
	t.count(p)
	speed := events.Point{Key: "tokens_per_second", Value: float64(t.generated) / time.Since(t.started).Seconds()}
	if err := errors.Join(t.out.Write(p), t.job.Progress(ctx, t.answered, t.total, speed)); err != nil {
		return err
	}
	return t.saver.add(ctx, p)
}

// because is why a row has no answer. Some reasons hold for every other try, too.
func (t *task) because(err error) error {
	if _, foreign := errors.AsType[*llm.TokenError](err); foreign || errors.Is(err, llm.ErrNoNumbers) {
		return engine.Permanent("bad_model", fmt.Errorf("%s: %w", t.name, err))
	}
	return err
}
