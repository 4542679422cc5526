package sampling

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/tunebus/tunebus/llm/internal/kernel"
)

// Sampler chooses the tokens of one row. What it chooses depends on the config and the
// logits alone.
type Sampler struct {
	cfg  Config
	rng  *rand.Rand
	seen []uint64 // a bit for each token that the penalty is for; nil without one
}

// New is a sampler for a vocabulary of so many tokens.
func New(cfg Config, vocab int) *Sampler {
	s := &Sampler{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, cfg.Stream))}
	if cfg.penalises() {
		s.seen = make([]uint64, (vocab+63)/64)
	}
	return s
}

// See tells the sampler of tokens of the prompt or the answer, for the penalty.
func (s *Sampler) See(ids ...int32) {
	if s.seen == nil {
		return
	}
	for _, id := range ids {
		s.seen[id/64] |= 1 << (id % 64)
	}
}

// Scratch is what samplers need while they choose. Each goroutine has one of its own.
// The zero value is ready to use.
type Scratch struct {
	penalised, exps []float32
	floors          []float32 // a heap of the largest logits
	kept            []candidate
	whole           float64 // the sum of their shares
}

// candidate is a token that may be chosen; the shares have any sum.
type candidate struct {
	id    int32
	share float64
}

// Choose takes a token.
func (s *Sampler) Choose(w *Scratch, logits []float32) int32 {
	if s.seen != nil {
		w.penalised = append(w.penalised[:0], logits...)
		logits = w.penalised
		s.penalise(logits)
	}
	if s.cfg.Temperature <= 0 {
		return int32(slices.Index(logits, kernel.Max(logits)))
	}
	w.keep(s.cfg, logits)
	at := s.rng.Float64() * w.whole
	for _, c := range w.kept {
		if at -= c.share; at < 0 {
			return c.id
		}
	}
	return w.likeliest() // rounding ate the last share
}

// penalise makes the tokens that were seen less likely, in float32 as transformers does.
func (s *Sampler) penalise(logits []float32) {
	p := float32(s.cfg.RepetitionPenalty)
	for at, word := range s.seen {
		for ; word != 0; word &= word - 1 {
			id := 64*at + bits.TrailingZeros64(word)
			if v := logits[id]; v < 0 {
				logits[id] = v * p
			} else {
				logits[id] = v / p
			}
		}
	}
}

// keep finds the tokens that may be chosen, and their shares.
func (w *Scratch) keep(cfg Config, logits []float32) {
	w.kept = w.kept[:0]
	top := kernel.Max(logits)
	all := 0.0 // the sum of the shares
	if cfg.TopK > 0 && cfg.TopK < len(logits) {
		floor := w.floor(logits, cfg.TopK)
		for i, v := range logits {
			if v >= floor {
				share := math.Exp(float64(v-top) / cfg.Temperature)
				w.kept = append(w.kept, candidate{int32(i), share})
				all += share
			}
		}
	} else {
		all = w.shares(cfg, logits, top)
	}
	if cfg.TopP > 0 && cfg.TopP < 1 || cfg.MinP > 0 {
		w.cut(cfg, all)
	}
	w.whole = 0
	for _, c := range w.kept {
		w.whole += c.share
	}
}

// shares are those of all tokens. It leaves those out that cut would leave out, so that
// few need sorting, and returns the sum of all.
func (w *Scratch) shares(cfg Config, logits []float32, top float32) (all float64) {
	n := len(logits)
	w.exps = w.exps[:0]
	for _, v := range logits { // first of all, so that rounding takes nothing away where f is large
		w.exps = append(w.exps, v-top)
	}
	const steepest = 1e30 // a difference in the last place of a logit decides by far
	kernel.ExpSum(w.exps, float32(min(1/cfg.Temperature, steepest)), 0)
	most := 0.0
	for _, e := range w.exps {
		all += float64(e)
		most = max(most, float64(e))
	}
	least := cfg.MinP * most
	if cfg.TopP > 0 && cfg.TopP < 1 {
		// All tokens below this have together less than what top_p leaves out.
		least = max(least, (1-cfg.TopP)*all/float64(n)*(1-1e-9))
	}
	for i, e := range w.exps {
		if e := float64(e); e >= least && e > 0 {
			w.kept = append(w.kept, candidate{int32(i), e})
		}
	}
	return all
}

// cut leaves out what top_p and min_p leave out. all is the sum of the shares before.
func (w *Scratch) cut(cfg Config, all float64) {
	slices.SortFunc(w.kept, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.share, a.share), cmp.Compare(a.id, b.id))
	})
	mass := 0.0
	for n, c := range w.kept {
		if n > 0 && (c.share < cfg.MinP*w.kept[0].share || cfg.TopP > 0 && cfg.TopP < 1 && mass >= cfg.TopP*all) {
			w.kept = w.kept[:n]
			return
		}
		mass += c.share
	}
}

// likeliest is the likeliest of the tokens that may be chosen.
func (w *Scratch) likeliest() int32 {
	best := w.kept[0]
	for _, c := range w.kept {
		if c.share > best.share {
			best = c
		}
	}
	return best.id
}
