package modelserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/services/inference/answers"
	"github.com/tunebus/tunebus/services/inference/inputs"
	"github.com/tunebus/tunebus/services/inference/modelserver/chatapi"
)

// pass is one model that answers all questions.
type pass struct {
	artifact, file string
	// model is the name in a call, and adapter that of SGLang's adapter beside it.
	model, adapter string
	// adapters are those of llama.cpp, switched off.
	adapters []chatapi.LlamaAdapter
	// reload loads the model again if the server has lost it; nil: it cannot.
	reload func(context.Context) error
}

// request is the call for a row. The error is a [rowError] if its images are too large.
func (p pass) request(s events.Inferencer, r row.Row, index int64) (chatapi.Request, error) {
	q, err := chatapi.NewRequest(s, r, index)
	if large, ok := errors.AsType[chatapi.TooLargeError](err); ok {
		return q, rowError{fmt.Errorf("%s: %w", r.Place, large)}
	}
	if err != nil {
		return q, inputs.BadDataset(fmt.Errorf("%s: %w", r.Place, err))
	}
	q.Model, q.LoRAPath = p.model, p.adapter
	if len(p.adapters) > 0 {
		q.LoRA = &p.adapters
	}
	return q, nil
}

// counts are those of a job.
type counts struct {
	total, done         int64
	tokensIn, tokensOut int64
	received            int64 // tokens that came since the start
	receivedRows        int64
}

// tally is what a pass counts.
type tally struct {
	failed     int64
	failure    string // of the first one
	transient  bool   // one may be gone later
	unfinished int64
	unmeasured int64
	reasons    map[string]int64 // of answers that do not end by themselves
}

// maxFailedRows is how many rows may fail before a pass ends in which more than half of
// the rows fail.
const maxFailedRows = 20

// run has the model of a pass answer the questions that have no answer yet, and stores
// the answers.
func (w *work) run(ctx context.Context, p pass) (events.Artifact, error) {
	base, err := w.fingerprint(p)
	if err != nil {
		return events.Artifact{}, err
	}
	a := &asking{work: w, pass: p, turn: make(chan struct{}, 1), tally: tally{reasons: map[string]int64{}}}
	calls, cancel := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	for index, r := range w.rows(calls, &err) {
		of := fmt.Sprintf("%x", sha256.Sum256(append([]byte(r.Digest()), base...)))[:24]
		known, ok, findErr := w.log.Find(p.artifact, index, of)
		if err = findErr; err != nil {
			break
		}
		if ok {
			a.known(known)
			w.job.Advance(1)
			continue
		}
		if err = w.caller.limiter.Take(calls); err != nil {
			break
		}
		all.Go(func() {
			defer w.caller.limiter.Free()
			if err := a.answer(calls, r, index, of); err != nil {
				cancel(err)
			}
		})
	}
	if err != nil {
		cancel(err)
	}
	all.Wait()
	if err = context.Cause(calls); err == nil {
		err = a.allFailed()
	}
	cancel(nil)
	w.res.Notes = append(w.res.Notes, a.notes(ctx)...)
	if err != nil {
		return events.Artifact{}, err
	}
	return w.store(ctx, p)
}

// rows iterates over the questions until ctx ends. The error is that of the data.
func (w *work) rows(ctx context.Context, err *error) func(yield func(int64, row.Row) bool) {
	return func(yield func(int64, row.Row) bool) {
		index := int64(0)
		for r, rowErr := range w.questions.Data.Rows(ctx) {
			switch {
			case ctx.Err() != nil:
				*err = context.Cause(ctx)
			case rowErr != nil:
				*err = inputs.BadDataset(rowErr)
			}
			if *err != nil || !yield(index, r) {
				return
			}
			index++
		}
		if index != w.questions.Rows {
			*err = inputs.BadDataset(fmt.Errorf("it had %d rows, and has %d now: it changed while it was read", w.questions.Rows, index))
		}
	}
}

// store writes the answers of a pass in the order of the rows, and stores them.
func (w *work) store(ctx context.Context, p pass) (_ events.Artifact, err error) {
	path, err := w.job.Scratch(p.file)
	if err != nil {
		return events.Artifact{}, err
	}
	f, err := os.Create(path)
	if err != nil {
		return events.Artifact{}, err
	}
	err = errors.Join(w.log.Write(p.artifact, prediction.NewWriter(f, 0)), f.Close())
	if err != nil {
		return events.Artifact{}, err
	}
	w.log.WarnOfHidden(ctx, p.artifact, p.file)
	return w.job.PutFile(ctx, p.artifact, prediction.MediaType, path)
}

// asking is a pass under way.
type asking struct {
	work  *work
	pass  pass
	turn  chan struct{} // holds a value while somebody counts or reports
	tally tally
}

// answer asks the question of a row, and keeps the answer.
func (a *asking) answer(ctx context.Context, r row.Row, index int64, of string) error {
	got, err := a.work.ask(ctx, a.pass, a.work.job.Request.Specification.Inferencer, r, index, nil)
	var p prediction.Prediction
	failed, isRow := errors.AsType[rowError](err)
	switch {
	case isRow:
		p = inputs.Answered(r, index, "")
		p.NoAnswer, p.Error = true, events.Cut(failed.Error(), events.MaxErrorBytes)
	case err != nil:
		return err
	default:
		p = answered(r, index, got)
	}
	if err := a.work.log.Add(ctx, answers.Answer{Pass: a.pass.artifact, Row: index, Of: of, Prediction: p}); err != nil {
		return err
	}
	if isRow {
		return a.fail(ctx, p)
	}
	return a.progress(ctx, p)
}

// answered is a row with the answer of the server.
func answered(r row.Row, index int64, got chatapi.Reply) prediction.Prediction {
	text, reasoning := got.Text()
	p := inputs.Answered(r, index, text)
	if reasoning != "" { // the server has taken it apart
		p.Answer, p.Reasoning = text, reasoning
	}
	p.PromptTokens, p.Tokens = got.Tokens()
	p.FinishReason = events.Cut(got.Choices[0].FinishReason, events.MaxNameBytes)
	return p
}

// count counts an answer. received is 1 for one that came now.
func (a *asking) count(p prediction.Prediction, received int64) {
	c, t := &a.work.counts, &a.tally
	c.done++
	c.tokensIn += int64(p.PromptTokens)
	c.tokensOut += int64(p.Tokens)
	c.received += received * int64(p.Tokens)
	c.receivedRows += received
	if p.Answer == "" && p.Reasoning != "" {
		t.unfinished++
	}
	if p.Tokens == 0 && p.PromptTokens == 0 {
		t.unmeasured++
	}
	if p.FinishReason != "" && p.FinishReason != "stop" && (len(t.reasons) < 10 || t.reasons[p.FinishReason] > 0) {
		t.reasons[p.FinishReason]++
	}
}

// known counts an answer of an earlier attempt.
func (a *asking) known(p prediction.Prediction) {
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	a.count(p, 0)
}

// progress reports an answer, and how fast they come.
func (a *asking) progress(ctx context.Context, p prediction.Prediction) error {
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	a.count(p, 1)
	return a.report(ctx)
}

func (a *asking) report(ctx context.Context) error {
	seconds := time.Since(a.work.started).Seconds()
	return a.work.job.Progress(ctx, a.work.counts.done, a.work.counts.total,
		events.Point{Key: "tokens_per_second", Value: float64(a.work.counts.received) / seconds},
		events.Point{Key: "rows_per_second", Value: float64(a.work.counts.receivedRows) / seconds},
		events.Point{Key: "retries", Value: float64(a.work.caller.retries.Load())})
}

// fail counts a row without an answer. The error is not nil if too many have none.
func (a *asking) fail(ctx context.Context, p prediction.Prediction) error {
	a.turn <- struct{}{}
	defer func() { <-a.turn }()
	t := &a.tally
	t.failed++
	a.work.counts.done++
	if t.failure == "" {
		t.failure = p.Error
	}
	t.transient = t.transient || strings.Contains(p.Error, "retries")
	if answered := a.work.counts.done - t.failed; t.failed >= maxFailedRows && t.failed > answered {
		return a.tooMany()
	}
	return a.report(ctx)
}

// allFailed is the error of a pass in which no question has an answer.
func (a *asking) allFailed() error {
	if a.tally.failed > 0 && a.tally.failed == a.work.questions.Rows {
		return a.tooMany()
	}
	return nil
}

func (a *asking) tooMany() error {
	return &engine.JobError{Code: codeRows, Permanent: !a.tally.transient, Err: fmt.Errorf("the model server at %s: %d questions have no answer, and %d have one; the first: %s",
		a.work.caller.client.Name, a.tally.failed, a.work.counts.done-a.tally.failed, a.tally.failure)}
}

// notes say what is unusual about the answers of a pass. What concerns more than a tenth of
// them is a warning.
func (a *asking) notes(ctx context.Context) (notes []string) {
	tell := func(rows int64, what string) {
		text := fmt.Sprintf("%s: %d of %d %s", a.pass.file, rows, a.work.questions.Rows, what)
		switch {
		case rows == 0:
		case 10*rows > a.work.questions.Rows:
			engine.Warn(ctx, a.work.job, text)
		default:
			notes = append(notes, text)
		}
	}
	t := &a.tally
	tell(t.failed, "questions have no answer, and the file says why; the first: "+t.failure)
	tell(t.unfinished, fmt.Sprintf("answers end in their reasoning, so that nothing of them is left to score; raise inferencer.max_new_tokens = %d",
		a.work.job.Request.Specification.Inferencer.MaxNewTokens))
	for _, reason := range slices.Sorted(maps.Keys(t.reasons)) {
		what := fmt.Sprintf("answers end for the reason %q", reason)
		if reason == "length" {
			what = fmt.Sprintf("answers are cut at inferencer.max_new_tokens = %d, or at the end of the server's context", a.work.job.Request.Specification.Inferencer.MaxNewTokens)
		}
		tell(t.reasons[reason], what)
	}
	if t.unmeasured > 0 {
		notes = append(notes, fmt.Sprintf("%s: the server does not say the tokens of %d of %d answers, so that counts and rates of tokens leave them out", a.pass.file, t.unmeasured, a.work.questions.Rows))
	}
	return notes
}
