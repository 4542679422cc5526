package chatserver

import (
	"context"
	"sync"
	"time"

	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/sampling"
)

// buffer holds the tokens of an answer between the batch, whose callbacks may not wait,
// and the request's own goroutine, which waits for its client. The largest number of
// tokens of the answer bounds it.
type buffer struct {
	mu     sync.Mutex
	text   []byte
	tokens []sampling.Logprob // if they are wanted

	some chan struct{} // has a value if there is something new
	end  chan struct{} // closed behind the last token
	// answer and err may be read when end is closed.
	answer generation.Answer
	err    error
}

func newBuffer() *buffer { return &buffer{some: make(chan struct{}, 1), end: make(chan struct{})} }

// put takes a token with its text.
func (b *buffer) put(t generation.Token, logprob bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, t.Text...)
	if logprob {
		p := t.Logprob
		p.Top = append([]sampling.Candidate(nil), p.Top...) // it lasts only so long
		b.tokens = append(b.tokens, p)
	}
	if len(b.text) == 0 && len(b.tokens) == 0 {
		return
	}
	select {
	case b.some <- struct{}{}:
	default:
	}
}

// finish takes the end.
func (b *buffer) finish(a generation.Answer, err error) {
	b.answer, b.err = a, err
	close(b.end)
}

// take waits for something of the answer, but not before a time, unless it ends. more is
// false behind the end.
func (b *buffer) take(ctx context.Context, notBefore time.Time) (text string, tokens []sampling.Logprob, more bool, err error) {
	if rest := time.Until(notBefore); rest > 0 {
		timer := time.NewTimer(rest)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.end:
		case <-ctx.Done():
		}
	}
	select {
	case <-b.some:
		more = true
	case <-b.end:
	case <-ctx.Done():
		return "", nil, false, context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	text, tokens = string(b.text), b.tokens
	b.text, b.tokens = b.text[:0], nil
	if !more {
		return text + b.answer.Rest, tokens, false, b.err
	}
	return text, tokens, true, nil
}
