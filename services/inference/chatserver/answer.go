package chatserver

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/sampling"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
	"github.com/tunebus/tunebus/services/inference/chatserver/servedmodel"
)

// question is a request that may be answered.
type question struct {
	request completionapi.Request
	model   *servedmodel.Model
	prompt  []int32
	// most is the largest number of tokens of the answer.
	most int
}

// answer is the answer to a question.
type answer struct {
	question

	tokens, cached int
	first          time.Time // when the first token came; only a stream knows
	offset         int       // characters of the log probabilities so far
}

// usage counts the tokens.
func (a *answer) usage() completionapi.Usage {
	u := completionapi.Usage{PromptTokens: len(a.prompt), CompletionTokens: a.tokens, TotalTokens: len(a.prompt) + a.tokens}
	u.Details.Cached = a.cached
	return u
}

// whole waits for the whole answer. What is computed of it ends with ctx.
func (a *answer) whole(ctx context.Context) (completionapi.Piece, error) {
	row, err := a.model.Add(a.request, a.prompt, a.most, nil, nil)
	if err != nil {
		return completionapi.Piece{}, err
	}
	select {
	case <-row.Done():
	case <-ctx.Done():
		row.Cancel()
		<-row.Done()
		return completionapi.Piece{}, context.Cause(ctx)
	}
	got, err := row.Answer()
	a.tokens, a.cached = len(got.IDs), got.CachedTokens
	return completionapi.Piece{Text: got.Text, Logprobs: a.logprobs(got.Logprobs), Finish: string(got.Finish)}, err
}

// every is the shortest time between two pieces of a stream. A fast model gives many
// tokens in that time, and to write each by itself would take longer than to compute it.
const every = 40 * time.Millisecond

// stream gives each piece of the answer to give. The last one says why the answer ends.
// What is computed of it ends with ctx, and when give fails.
func (a *answer) stream(ctx context.Context, give func(completionapi.Piece) error) error {
	b := newBuffer()
	on := func(t generation.Token) error {
		b.put(t, a.request.Logprobs)
		return nil
	}
	row, err := a.model.Add(a.request, a.prompt, a.most, on, b.finish)
	if err != nil {
		return err
	}
	defer func() {
		row.Cancel()
		<-row.Done()
		a.tokens = len(b.answer.IDs)
	}()
	var notBefore time.Time
	for {
		text, tokens, more, err := b.take(ctx, notBefore)
		if err != nil {
			return err
		}
		now := time.Now()
		if notBefore = now.Add(every); a.first.IsZero() {
			a.first = now
		}
		p := completionapi.Piece{Text: text, Logprobs: a.logprobs(tokens)}
		if !more {
			p.Finish = string(b.answer.Finish)
			a.tokens, a.cached = len(b.answer.IDs), b.answer.CachedTokens
		}
		if err := give(p); err != nil || !more {
			return err
		}
	}
}

// logprobs writes log probabilities; nil where they were not asked for.
func (a *answer) logprobs(tokens []sampling.Logprob) []completionapi.TokenLogprob {
	if !a.request.Logprobs {
		return nil
	}
	out := make([]completionapi.TokenLogprob, 0, len(tokens))
	for _, t := range tokens {
		l := completionapi.TokenLogprob{Logprob: a.logprob(t.Candidate), Top: []completionapi.Logprob{}, Offset: a.offset}
		for _, c := range t.Top {
			l.Top = append(l.Top, a.logprob(c))
		}
		a.offset += utf8.RuneCountInString(l.Token)
		out = append(out, l)
	}
	return out
}

func (a *answer) logprob(c sampling.Candidate) completionapi.Logprob {
	b := token.Bytes(a.model.Tokenizer, c.ID)
	text := string(b)
	if !utf8.Valid(b) {
		text = a.model.Tokenizer.Decode([]int32{c.ID}, false)
	}
	return completionapi.Logprob{Token: text, Logprob: c.Logprob, Bytes: b}
}
