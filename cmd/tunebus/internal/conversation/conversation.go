// Package conversation talks with models of folders of this machine, on the
// built-in engine.
//
//	p, err := conversation.Open("tuned", conversation.Folders{Base: base, Tuned: tuned}, options)
//	…
//	answer, err := p.Ask(ctx, "Who are you?", func(piece string) error { … })
package conversation

import (
	"cmp"
	"context"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/services/inference/fitting"
)

// Folders are where a model lies.
type Folders struct {
	// Base is the folder of the base model; it may be empty where Tuned holds a
	// whole model.
	Base string
	// Tuned is the folder of an adapter or a whole model; empty: the base model
	// answers.
	Tuned string
}

// Options say how a model answers.
type Options struct {
	// System is the system prompt; empty: none.
	System string
	// Bits is to how many bits the weights are brought, 4 or 8; 0: they stay as they are
	// stored.
	Bits int
	// MaxPrompt is the most tokens of a conversation that the model sees; 0:
	// all.
	MaxPrompt int
	// Generate says how tokens are chosen, and how many at most.
	Generate generation.Prompt
}

// Partner is a model that answers, with the conversation so far.
type Partner struct {
	// Name is how people know it.
	Name string

	model   *llm.Model
	tok     *token.Tokenizer
	options Options
	turns   []token.Message // of the user and the model in turn
	batch   *generation.Batch
	tokens  int // that the batch has room for
}

// Open reads a model and its tokenizer.
func Open(name string, f Folders, o Options) (*Partner, error) {
	dir := f.Base
	adapter := f.Tuned != "" && llm.IsAdapter(f.Tuned)
	if f.Tuned != "" && !adapter {
		dir = f.Tuned
	}
	wanted := llm.Answering{Dir: dir, Bits: o.Bits}
	if adapter {
		wanted.Adapter = f.Tuned
	}
	if err := fitting.Check(hostmemory.Machine(), "the "+name+" model", wanted, ""); err != nil {
		return nil, err
	}
	model, err := llm.OpenQuantised(dir, o.Bits)
	if err != nil {
		return nil, err
	}
	if adapter {
		if err := model.LoadAdapter(f.Tuned); err != nil {
			return nil, err
		}
	}
	tok, err := token.Open(dir)
	if err != nil {
		return nil, err
	}
	return &Partner{Name: name, model: model, tok: tok, options: o}, nil
}

// Reset forgets the conversation.
func (p *Partner) Reset() { p.turns = nil }

// Answer is what a model said.
type Answer struct {
	Text string
	// Tokens is how many tokens it has.
	Tokens int
	// Forgotten is how many turns at the beginning of the conversation the model
	// did not see, and Excess how all of them are too long.
	Forgotten int
	Excess    string
	// Full is set if the answer ended because the model was made for no more than so many
	// Positions, all tokens of the prompt and the answer.
	Full      bool
	Positions int
	// Cut is set if the answer was ended from outside, by the context or by the
	// largest number of tokens.
	Cut bool
}

// Ask adds a turn to the conversation and has the model answer it. on gets the
// text as it comes. If the context ends, the answer is what was said so far.
func (p *Partner) Ask(ctx context.Context, text string, on func(piece string) error) (Answer, error) {
	p.turns = append(p.turns, token.Message{Role: "user", Content: text})
	limit := p.limit()
	seen, err := p.prompt(limit)
	if err != nil {
		p.turns = p.turns[:len(p.turns)-1]
		return Answer{}, err
	}
	out := Answer{Forgotten: seen.forgotten, Excess: seen.excess, Positions: limit.positions}
	prompt := p.options.Generate
	prompt.IDs, prompt.EOS = seen.ids, p.tok.EOS()
	if limit.positions > 0 {
		prompt.MaxNewTokens = min(prompt.MaxNewTokens, limit.positions-len(seen.ids))
	}
	prompt.OnToken = func(t generation.Token) error {
		out.Tokens++
		return out.say(t.Text, on)
	}
	row, err := p.fits(prompt).Add(prompt)
	if err != nil {
		p.turns = p.turns[:len(p.turns)-1]
		return Answer{}, err
	}
	err = p.batch.Drain(ctx)
	answer, fault := row.Answer()
	out.Cut = ctx.Err() != nil || answer.Finish == generation.Length
	out.Full = answer.Finish == generation.Length && prompt.MaxNewTokens < p.options.Generate.MaxNewTokens
	if ctx.Err() != nil {
		err, fault = nil, nil
	}
	if err = cmp.Or(err, fault); err == nil {
		err = out.say(answer.Rest, on)
	}
	p.turns = append(p.turns, token.Message{Role: "assistant", Content: out.Text})
	return out, err
}

// say adds a piece of text to the answer.
func (a *Answer) say(piece string, on func(piece string) error) error {
	if piece == "" {
		return nil
	}
	a.Text += piece
	return on(piece)
}

// fits is the batch that answers, which keeps what it has read of the conversation. A
// larger one begins anew.
func (p *Partner) fits(prompt generation.Prompt) *generation.Batch {
	if tokens := len(prompt.IDs) + prompt.MaxNewTokens; p.batch == nil || tokens > p.tokens {
		p.tokens = max(2*tokens, 1024)
		p.batch = llm.NewBatch(p.model, generation.Config{MaxSequences: 1, CacheTokens: p.tokens, Decode: func(ids []int32) string { return p.tok.Decode(ids, true) }})
	}
	return p.batch
}
