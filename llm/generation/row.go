package generation

import (
	"slices"
	"sync/atomic"

	"github.com/tunebus/tunebus/llm/internal/prefix"
	"github.com/tunebus/tunebus/llm/sampling"
	"github.com/tunebus/tunebus/llm/token/textstream"
)

// Row is a prompt that is being answered, or waits for it.
type Row struct {
	prompt    Prompt
	batch     *Batch
	cancelled atomic.Bool
	done      chan struct{}
	answer    Answer
	err       error

	// Only the goroutine that steps knows what follows.
	sequence int
	blocks   *prefix.Sequence
	ids      []int32 // of the prompt, what is given, and what was chosen
	read     int     // how many of them the decoder has read
	sampler  *sampling.Sampler
	text     *textstream.Stream
	ended    bool // the answer is whole, or there is a fault
	fault    error
}

func newRow(b *Batch, p Prompt) *Row {
	return &Row{prompt: p, batch: b, done: make(chan struct{}), answer: Answer{StopID: -1}}
}

// Done is closed when the row has ended.
func (r *Row) Done() <-chan struct{} { return r.done }

// Answer is the answer of a row that has ended, or why there is none: [ErrCancelled],
// [ErrClosed], [ErrNoNumbers], the error of OnToken, or the cause of the context's end;
// with it comes what there was of an answer.
func (r *Row) Answer() (Answer, error) {
	<-r.done
	return r.answer, r.err
}

// Cancel ends the row with [ErrCancelled] before the next step. It may be called many
// times, and on a row that has ended.
func (r *Row) Cancel() {
	r.cancelled.Store(true)
	b := r.batch
	b.lock.Lock()
	at := slices.Index(b.waiting, r)
	if at >= 0 {
		b.waiting = slices.Delete(b.waiting, at, at+1)
	}
	b.awake()
	b.lock.Unlock()
	if at >= 0 {
		r.end(ErrCancelled)
	}
}

// begin prepares a row that enters. Given tokens of which nobody asks how likely they
// are need not wait for the decoder.
func (r *Row) begin() {
	p := r.prompt
	r.ids = append(append(make([]int32, 0, p.positions()+1), p.IDs...), p.Given...)
	r.answer.IDs = make([]int32, 0, len(p.Given)+p.MaxNewTokens)
	r.sampler = sampling.New(p.Sampling, r.batch.vocab)
	r.sampler.See(r.ids...)
	if r.batch.cfg.Decode != nil {
		r.text = textstream.New(r.batch.cfg.Decode, p.Stop)
	}
	if p.Logprobs {
		return
	}
	for _, id := range p.Given {
		if r.say(id, sampling.Logprob{}); r.ended {
			return
		}
	}
}

// isGiven reports whether the token at a place is given.
func (r *Row) isGiven(at int) bool { return at < len(r.prompt.IDs)+len(r.prompt.Given) }

// wants reports whether the logits of the token at a place are wanted.
func (r *Row) wants(at int) bool {
	if r.isGiven(at) {
		return at >= len(r.prompt.IDs) && r.prompt.Logprobs
	}
	return r.prompt.MaxNewTokens > 0
}

// toRead is how many tokens are to be read by now.
func (r *Row) toRead() int {
	if r.prompt.MaxNewTokens == 0 && len(r.prompt.Given) > 0 {
		return len(r.ids) - 1 // nothing follows the last
	}
	return len(r.ids)
}

// choose takes the token of a place, by its logits.
func (r *Row) choose(w *sampling.Scratch, logits []float32, a *asked) {
	switch {
	case !sampling.IsFinite(logits):
		a.fault = ErrNoNumbers
		return
	case r.isGiven(a.at):
		a.id = r.ids[a.at]
	default:
		a.id = r.sampler.Choose(w, logits)
	}
	if r.prompt.Logprobs {
		a.logprob = sampling.LogprobOf(w, logits, a.id, r.prompt.TopLogprobs)
	}
}

// take adds the token that was chosen to the answer, or ends it.
func (r *Row) take(a *asked) {
	switch {
	case a.fault != nil:
		r.ended, r.fault = true, a.fault
	case r.isGiven(a.at):
		r.say(a.id, a.logprob)
	case slices.Contains(r.prompt.EOS, a.id):
		r.ended, r.answer.Finish, r.answer.StopID = true, Stopped, a.id
		if r.text != nil {
			r.answer.Rest = r.rest()
		}
	default:
		r.ids = append(r.ids, a.id)
		r.sampler.See(a.id)
		r.say(a.id, a.logprob)
	}
}

// say adds a token to the answer. The last one ends it.
func (r *Row) say(id int32, p sampling.Logprob) {
	r.answer.IDs = append(r.answer.IDs, id)
	if r.prompt.Logprobs {
		r.answer.Logprobs = append(r.answer.Logprobs, p)
	}
	t := Token{ID: id, Logprob: p}
	if len(r.answer.IDs) == len(r.prompt.Given)+r.prompt.MaxNewTokens {
		r.ended, r.answer.Finish = true, Length
	}
	if r.text != nil {
		piece, stopped := r.text.Add(id)
		if t.Text = piece; stopped {
			r.ended, r.answer.Finish = true, Stopped
		} else if r.ended {
			t.Text += r.rest()
		}
		r.answer.StopText = r.text.Ended()
	}
	if r.prompt.OnToken != nil {
		if err := r.prompt.OnToken(t); err != nil {
			r.ended, r.fault = true, err
		}
	}
}

// rest is the end of the text, in which a text may begin that ends the answer.
func (r *Row) rest() string {
	piece, stopped := r.text.End()
	if stopped {
		r.answer.Finish, r.answer.StopText = Stopped, r.text.Ended()
	}
	return piece
}

// end tells that the row has ended.
func (r *Row) end(err error) {
	r.err = err
	if r.text != nil {
		if err != nil {
			r.answer.Rest = r.rest()
		}
		r.answer.Text = r.text.Text()
	}
	if r.prompt.OnDone != nil {
		r.prompt.OnDone(r.answer, err)
	}
	close(r.done)
}
