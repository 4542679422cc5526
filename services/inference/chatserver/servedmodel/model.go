package servedmodel

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
)

// Options are a model and how it answers.
type Options struct {
	// Names are those by which clients ask for it; the first one is shown to people.
	Names []string
	// Root is where it comes from, and Parent the name of the base model of an adapter, as
	// the list of models says them.
	Root, Parent string

	Weights   *llm.Model
	Tokenizer *token.Tokenizer
	// Defaults are for what a request leaves open.
	Defaults completionapi.Sampling
	// MaxLength is the most tokens of a prompt and its answer together.
	MaxLength int
	// Parallel is how many requests are answered at once, and CacheTokens of how many tokens
	// of all of them together keys and values are kept.
	Parallel, CacheTokens int
	// Lazy says that the model is made ready by its first request, since most likely there
	// is none.
	Lazy bool
}

// Model is a model that answers. It is safe for concurrent use.
type Model struct {
	Options

	ending context.CancelCauseFunc
	life   context.Context //nolint:containedctx // of the goroutine that answers, which the first request starts
	start  sync.Once
	batch  *generation.Batch
	ended  sync.WaitGroup
}

// New returns a model. Its first request, or [Model.Start], packs the weights for
// answering; until then it takes no memory beside them. It has to be closed.
func New(o Options) *Model {
	m := &Model{Options: o}
	m.life, m.ending = context.WithCancelCause(context.Background())
	return m
}

// Start makes the model ready to answer, and returns how much memory keys and values take
// at most, in bytes.
func (m *Model) Start() (cacheBytes int64) {
	m.start.Do(func() {
		m.batch = llm.NewBatch(m.Weights, generation.Config{MaxSequences: m.Parallel, CacheTokens: m.CacheTokens, Decode: m.Tokenizer.DecodeAnswer})
		m.ended.Go(func() { _ = m.batch.Run(m.life) }) // it ends with the cause that Close gives it
	})
	return m.batch.CacheBytes()
}

// Close ends what is still answered, and waits for it.
func (m *Model) Close() {
	m.ending(generation.ErrClosed)
	m.ended.Wait()
}

// Describe says what the model is in the list of models, under one of its names.
func (m *Model) Describe(name string) completionapi.Model {
	d := completionapi.Model{ID: name, Object: "model", OwnedBy: "tunebus", Root: m.Root, MaxModelLen: m.MaxLength}
	if m.Parent != "" {
		d.Parent = &m.Parent
	}
	return d
}

// Prompt are the tokens that a request asks the model to go on with. The error is a
// [*completionapi.Error] if the request is wrong.
func (m *Model) Prompt(r completionapi.Request) ([]int32, error) {
	if err := m.checkTokens("stop_token_ids", r.Sampling.StopIDs); err != nil {
		return nil, err
	}
	switch {
	case r.IDs != nil: // the client has encoded it
		return r.IDs, m.checkTokens("prompt", r.IDs)
	case r.Messages == nil:
		return m.Tokenizer.Encode(m.Tokenizer.Begin(r.Prompt)), nil
	}
	c := chattemplate.Conversation{Messages: r.Messages, AddGenerationPrompt: !r.NoGenerationPrompt, Variables: r.TemplateVariables, Now: time.Now().UTC()}
	if r.Tools != nil {
		c.Tools = r.Tools
	}
	if r.Documents != nil {
		c.Documents = r.Documents
	}
	text, err := m.Tokenizer.RenderConversation(c)
	if err != nil {
		return nil, refusal("messages", err.Error())
	}
	if err := m.checkWritten(c, text.Text); err != nil {
		return nil, err
	}
	return m.Tokenizer.Encode(text.Text), nil
}

// checkWritten returns the error of tools or documents that change nothing in what the
// chat template writes, so that the model would answer as if they were not there. A
// template that refuses the conversation without them uses them.
func (m *Model) checkWritten(c chattemplate.Conversation, text string) error {
	same := func(c chattemplate.Conversation) bool {
		without, err := m.Tokenizer.RenderConversation(c)
		return err == nil && without.Text == text
	}
	if c.Tools != nil {
		without := c
		without.Tools = nil
		if same(without) {
			return refusal("tools", "the model's chat template does not write them, so that the model would not see them; leave them out, "+
				"or give \"tool_choice\": \"none\", or ask a model whose chat template has tools")
		}
	}
	if c.Documents != nil {
		without := c
		without.Documents = nil
		if same(without) {
			return refusal("documents", "the model's chat template does not write them, so that the model would not see them; write them into a message")
		}
	}
	return nil
}

// checkTokens returns the error of a parameter with tokens that the model does not have.
func (m *Model) checkTokens(param string, ids []int32) error {
	vocabulary := m.Weights.Config().VocabSize
	for i, id := range ids {
		if id < 0 || int(id) >= vocabulary {
			return refusal(param, fmt.Sprintf("token %d is %d; the model has the tokens 0 to %d", i+1, id, vocabulary-1))
		}
	}
	return nil
}

// refusal is the error of a parameter that the model cannot take.
func refusal(param, text string) error {
	return &completionapi.Error{Status: http.StatusBadRequest, Param: param, Message: param + ": " + text}
}

// Load is what the model has to do now.
func (m *Model) Load() generation.Load {
	m.Start()
	return m.batch.Load()
}
