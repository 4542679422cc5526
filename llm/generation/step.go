package generation

import (
	"github.com/tunebus/tunebus/llm/internal/kvcache"
	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/sampling"
)

// asked is a token whose logits a step computes, and what is chosen by them.
type asked struct {
	row     *Row
	at      int // in the row's tokens
	id      int32
	logprob sampling.Logprob
	fault   error
}

// step is what a batch computes at once.
type step struct {
	cfg     Config
	decoder *net.Decoder
	tokens  []net.Token
	asked   []asked
	scratch []sampling.Scratch // one of each goroutine of the decoder
	pick    func(member, place int)
}

func newStep(d *net.Decoder, cfg Config) *step {
	s := &step{cfg: cfg, decoder: d, scratch: make([]sampling.Scratch, d.Members())}
	s.pick = s.choose
	return s
}

// compute reads tokens of rows, and chooses those that follow.
func (s *step) compute(cache *kvcache.Cache, running []*Row) error {
	s.gather(running)
	return s.decoder.Read(cache, s.tokens, s.pick)
}

// gather chooses what the step reads: a token of each row that is being answered first,
// pieces of prompts behind them.
func (s *step) gather(running []*Row) {
	s.tokens, s.asked = s.tokens[:0], s.asked[:0]
	for _, prefill := range []bool{false, true} {
		for _, r := range running {
			if left := r.toRead() - r.read; left > 1 != prefill {
				continue
			}
			s.take(r)
		}
	}
}

// take has the step read tokens of a row.
func (s *step) take(r *Row) {
	places := max(s.cfg.MaxSequences, scoredTogether)
	for r.read < r.toRead() && len(s.tokens) < s.cfg.MaxBatchedTokens {
		next, wait := r.blocks.Next(r.read)
		if wait {
			return
		}
		if next > r.read {
			r.answer.CachedTokens += next - r.read
			r.read = next
			continue
		}
		last := r.wants(r.read + 1)
		if last && len(s.asked) == places {
			return
		}
		if last {
			s.asked = append(s.asked, asked{row: r, at: r.read + 1})
		}
		r.blocks.Put(r.read, r.ids[r.read])
		s.tokens = append(s.tokens, net.Token{ID: r.ids[r.read], Sequence: r.sequence, Position: r.read, Last: last})
		r.read++
	}
}

// scoredTogether is of how many tokens of given answers a step computes log
// probabilities, where there are fewer rows: each takes as many numbers as there are
// tokens in the vocabulary.
const scoredTogether = 32

// choose chooses the token of a place, on a goroutine of the decoder.
func (s *step) choose(member, place int) {
	a := &s.asked[place]
	a.row.choose(&s.scratch[member], s.decoder.Logits(place), a)
}
