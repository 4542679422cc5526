package chatserver

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/services/inference/chatserver/completionapi"
	"github.com/tunebus/tunebus/services/inference/chatserver/textstream"
)

// question is a request that may be answered.
type question struct {
	request completionapi.Request
	model   Model
	prompt  []int32
	// most is the largest number of tokens of the answer.
	most int
}

// answer is the answer to a question as it comes.
type answer struct {
	question

	text *textstream.Stream
	// every is the shortest time between two pieces. A fast model gives many tokens in that
	// time, and to write each by itself would take longer than to compute it.
	every time.Duration

	tokens int
	first  time.Time // when the first tokens came
}

// ask has the model answer, and gives each piece to give. The last one says why the
// answer ends. It returns when nothing of the answer is computed any more.
func (a *answer) ask(ctx context.Context, give func(completionapi.Piece) error) error {
	ctx, cancel := context.WithCancel(ctx)
	b := newBuffer()
	sampling := a.request.Sampling
	sampling.MaxTokens = a.most
	top := -1
	if a.request.Logprobs {
		top = a.request.TopLogprobs
	}
	go func() { b.finish(a.model.Generate(ctx, a.prompt, sampling, top, b.put)) }()
	defer func() {
		cancel()
		<-b.end
	}()
	a.text = textstream.New(a.model.Decode, a.request.Stop)
	var notBefore time.Time
	for {
		tokens, more, err := b.take(ctx, notBefore)
		if err != nil {
			return err
		}
		if a.tokens == 0 {
			a.first = time.Now()
		}
		notBefore = time.Now().Add(a.every)
		p := a.piece(tokens)
		switch {
		case a.text.Stopped():
			p.Finish = completionapi.FinishStop
		case !more:
			p.Text += a.text.End()
			p.Finish = completionapi.FinishStop
			if a.tokens >= a.most && !a.text.Stopped() {
				p.Finish = completionapi.FinishLength
			}
		case p.Text == "" && len(p.Logprobs) == 0:
			continue
		}
		if err := give(p); err != nil || p.Finish != "" {
			return err
		}
	}
}

// piece is the text of tokens, up to where a stop text ends it.
func (a *answer) piece(tokens []Token) (p completionapi.Piece) {
	if a.request.Logprobs {
		p.Logprobs = []completionapi.TokenLogprob{}
	}
	for _, t := range tokens {
		a.tokens++
		at := a.text.Length()
		p.Text += a.text.Add(t.ID)
		if a.request.Logprobs && !(a.text.Stopped() && at >= a.text.Length()) {
			p.Logprobs = append(p.Logprobs, a.logprob(t, at))
		}
		if a.text.Stopped() {
			break
		}
	}
	return p
}

func (a *answer) logprob(t Token, offset int) completionapi.TokenLogprob {
	out := completionapi.TokenLogprob{Logprob: a.choice(t.Choice), Top: []completionapi.Logprob{}, Offset: offset}
	for _, c := range t.Top {
		out.Top = append(out.Top, a.choice(c))
	}
	return out
}

func (a *answer) choice(c Choice) completionapi.Logprob {
	b := a.model.Bytes(c.ID)
	text := string(b)
	if !utf8.ValidString(text) {
		text = a.model.Decode([]int32{c.ID})
	}
	return completionapi.Logprob{Token: text, Logprob: c.Logprob, Bytes: b}
}

// usage counts the tokens.
func (a *answer) usage() completionapi.Usage {
	return completionapi.Usage{PromptTokens: len(a.prompt), CompletionTokens: a.tokens, TotalTokens: len(a.prompt) + a.tokens}
}
