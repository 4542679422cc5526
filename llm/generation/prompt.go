package generation

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/sampling"
)

// Prompt is what a row reads, and how it is answered.
type Prompt struct {
	IDs      []int32
	Sampling sampling.Config
	// MaxNewTokens is how many tokens an answer has at most. With 0 the prompt is read and
	// nothing chosen.
	MaxNewTokens int
	// EOS are tokens that end an answer; they are no part of it.
	EOS []int32
	// Stop are texts that end an answer; they are no part of its text, but their tokens
	// are among its tokens. It needs [Config.Decode].
	Stop []string
	// Given are tokens that the answer begins with: they are not chosen, but count as if
	// they were, so that Logprobs tells how likely an answer is. They do not count for
	// MaxNewTokens.
	Given []int32
	// Logprobs asks for the log probability of each token of the answer, TopLogprobs for
	// those of so many likeliest tokens beside it.
	Logprobs    bool
	TopLogprobs int
	// OnToken, when set, gets each token of the answer as soon as it is there, those of
	// Given, too. What it gets lasts until it returns. An error ends the row.
	OnToken func(Token) error
	// OnDone, when set, is called when the row has ended, before [Row.Done] is closed.
	// Where Cancel or Close ends a row, they may call it.
	OnDone func(Answer, error)
}

// positions is how many tokens the cache must hold of a row. The last one is never read.
func (p Prompt) positions() int { return len(p.IDs) + max(0, len(p.Given)+p.MaxNewTokens-1) }

// check says what is wrong with a prompt.
func (p Prompt) check(cfg Config, vocab int) error {
	if len(p.IDs) == 0 {
		return ErrEmpty
	}
	for _, ids := range [][]int32{p.IDs, p.Given} {
		for at, id := range ids {
			if id < 0 || int(id) >= vocab {
				return fmt.Errorf("generate: %w", &TokenError{Position: at, ID: id, Vocab: vocab})
			}
		}
	}
	if err := p.Sampling.Check(); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	switch {
	case p.MaxNewTokens < 0 || p.TopLogprobs < 0:
		return fmt.Errorf("generate: %d new tokens and %d log probabilities beside each are asked for, and neither may be negative", p.MaxNewTokens, p.TopLogprobs)
	case len(p.Stop) > 0 && cfg.Decode == nil:
		return fmt.Errorf("generate: %d texts are to end an answer, and the batch makes no texts", len(p.Stop))
	case p.MaxNewTokens > cfg.CacheTokens || (p.positions()+BlockTokens-1)/BlockTokens > cfg.blocks():
		return &TooLongError{len(p.IDs), len(p.Given) + p.MaxNewTokens, cfg.CacheTokens}
	}
	return nil
}

// Token is a token of an answer.
type Token struct {
	ID int32
	// Logprob is set where the prompt asks for it.
	Logprob sampling.Logprob
	// Text is what is certain of the answer's text by now and was not given before. It
	// may be empty, and is always without [Config.Decode]. The last piece comes with the
	// last token, or with [Answer.Rest] where none follows.
	Text string
}

// FinishReason says why an answer ended, as OpenAI names it.
type FinishReason string

// Why an answer ended.
const (
	// Stopped says that a token of EOS or a text of Stop came.
	Stopped FinishReason = "stop"
	// Length says that the answer has as many tokens as it may have.
	Length FinishReason = "length"
)

// Answer is the answer to a prompt.
type Answer struct {
	IDs      []int32
	Logprobs []sampling.Logprob // one for each token, where asked for
	// Text is the whole text, and Rest the end of it that came with no token; both are
	// empty without [Config.Decode].
	Text, Rest string
	Finish     FinishReason
	// StopText and StopID say what ended it: a text of Stop; or a token of EOS, -1 where
	// none did.
	StopText string
	StopID   int32
	// CachedTokens is how many tokens of the prompt were not computed, since another
	// prompt began with them.
	CachedTokens int
}

// Why a prompt is refused, or a row ends without an answer.
var (
	// ErrNoNumbers says that what a model computes is no number, as with weights that are
	// damaged, or that no training made. Every other try would meet it too.
	ErrNoNumbers = errors.New("generate: what the model computes is no number: its weights are damaged, or its training went astray")
	// ErrFull says that [Config.MaxWaiting] rows wait already.
	ErrFull = errors.New("generate: as many prompts wait as may wait")
	// ErrCancelled says that [Row.Cancel] ended the row.
	ErrCancelled = fmt.Errorf("generate: the row was cancelled: %w", context.Canceled)
	// ErrClosed says that the batch takes no more prompts.
	ErrClosed = errors.New("generate: the batch is closed")
	// ErrEmpty says that a prompt has no tokens.
	ErrEmpty = errors.New("generate: a prompt has no tokens")
)

// TokenError says that a prompt has a token that the model does not have; Row is 0.
type TokenError = net.TokenError

// TooLongError says that a prompt and its longest answer never fit into the cache.
type TooLongError struct{ Prompt, Answer, CacheTokens int }

// Error implements error.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("generate: a prompt of %d tokens and an answer of up to %d do not fit into the cache, which has room for %d", e.Prompt, e.Answer, e.CacheTokens)
}
